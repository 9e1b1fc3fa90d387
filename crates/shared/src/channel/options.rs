//! How a channel is made or opened.

#[cfg(not(loom))]
pub use asked::{CONTENTS, ChannelOptions};

/// Who sends, and who receives what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Kind {
    /// One sender, one receiver, each message received once. What was sent stays until it is received, also while there
    /// is no receiver.
    #[default]
    Spsc,
    /// Any number of senders, and every receiver receives every message that is sent while it takes part.
    Broadcast,
}

/// What becomes of a message for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Full {
    /// Its sender waits until the slowest receiver has made room.
    #[default]
    Block,
    /// The oldest messages give way, received or not. Who has missed some is told how many.
    DropOldest,
}

/// How receivers wait for messages, and senders for room. Both sides of a channel do alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Wait {
    /// By looking again and again: a processor each, and the shortest delay. Nobody looks for sleepers.
    Spin,
    /// By looking for some microseconds, then asleep.
    #[default]
    SpinThenSleep,
    /// Asleep.
    Sleep,
}

/// With which message a receiver of a broadcast channel begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum History {
    /// The first that is sent from now on.
    #[default]
    Now,
    /// The oldest that is still there.
    Oldest,
    /// So many before the first that is sent from now on, as far as they are still there.
    Last(u64),
}

#[cfg(not(loom))]
mod asked {
    use zerocopy::IntoBytes;

    use super::{Full, Kind, Wait};
    use crate::channel::Channel;
    use crate::channel::message::{self, Message};
    use crate::channel::shape::{Builder, PARTIES, SLOTS, Shape};
    use crate::error::Error;
    use crate::header::Lifetime;
    use crate::name::ObjectName;
    use crate::object::{SharedOptions, open_or_create};

    /// What [`SharedObject::contents`](crate::SharedObject::contents) of a channel's object says.
    pub const CONTENTS: &str = "channel";
    const DEFAULT_CAPACITY: u64 = 256;
    const DEFAULT_PARTIES: u32 = 16;
    const DEFAULT_MESSAGE_LEN: u64 = 4096;
    /// Bytes of a buffer, at least, if nothing is said.
    const LEAST_BUFFER: u64 = 1 << 16;

    /// Everything that can be asked of a channel; then [`create`](Self::create), [`open`](Self::open) or
    /// [`open_or_create`](Self::open_or_create).
    ///
    /// A channel that exists must be what was asked for; what was not asked for is not checked. Only the type of the
    /// messages always is.
    #[derive(Debug, Clone)]
    #[must_use]
    pub struct ChannelOptions {
        kind: Option<Kind>,
        full: Option<Full>,
        wait: Option<Wait>,
        capacity: Option<u64>,
        message_len: Option<u64>,
        buffer_bytes: Option<u64>,
        senders: Option<u32>,
        receivers: Option<u32>,
        any_type: bool,
        object: SharedOptions,
    }

    impl Default for ChannelOptions {
        fn default() -> Self {
            Self::new()
        }
    }

    impl ChannelOptions {
        /// One sender, one receiver, 256 messages, waiting when it is full, for the owner alone, until removed.
        pub fn new() -> Self {
            Self {
                kind: None,
                full: None,
                wait: None,
                capacity: None,
                message_len: None,
                buffer_bytes: None,
                senders: None,
                receivers: None,
                any_type: false,
                object: SharedOptions::new().contents(CONTENTS).role(CONTENTS),
            }
        }

        /// Who sends and who receives; [`Kind::Spsc`] if nothing is said.
        pub fn kind(mut self, kind: Kind) -> Self {
            self.kind = Some(kind);
            self
        }

        /// What becomes of a message for which there is no room; [`Full::Block`] if nothing is said.
        pub fn full(mut self, full: Full) -> Self {
            self.full = Some(full);
            self
        }

        /// How is waited; [`Wait::SpinThenSleep`] if nothing is said.
        pub fn wait(mut self, wait: Wait) -> Self {
            self.wait = Some(wait);
            self
        }

        /// How many messages there is room for: 2 to 2^24, rounded up to a power of two; 256 if nothing is said. Long
        /// messages also need room in the [buffer](Self::buffer_bytes).
        pub fn capacity(mut self, messages: u64) -> Self {
            self.capacity = Some(messages);
            self
        }

        /// How long a message may be in a channel of `[u8]`, in bytes, up to 2^32 - 1; 4096 if nothing is said. The
        /// channel of a type needs no such number.
        pub fn message_len(mut self, bytes: u64) -> Self {
            self.message_len = Some(bytes);
            self
        }

        /// Room for messages of `[u8]` that are longer than 104 bytes, in bytes: at least [`message_len`], rounded up
        /// to a power of two. Four times the longest message if nothing is said, and 64 KiB at least.
        ///
        /// [`message_len`]: Self::message_len
        pub fn buffer_bytes(mut self, bytes: u64) -> Self {
            self.buffer_bytes = Some(bytes);
            self
        }

        /// How many may send at the same time in a broadcast channel: 1 to 1024; 16 if nothing is said.
        pub fn senders(mut self, most: u32) -> Self {
            self.senders = Some(most);
            self
        }

        /// How many may receive at the same time in a broadcast channel: 1 to 1024; 16 if nothing is said.
        pub fn receivers(mut self, most: u32) -> Self {
            self.receivers = Some(most);
            self
        }

        /// Opens a channel of whatever type as one of `[u8]`: its messages' bytes. For tools, which do not know the
        /// type.
        pub fn any_type(mut self) -> Self {
            self.any_type = true;
            self
        }

        /// Who may open the channel that is created: as [`SharedOptions::permissions`].
        pub fn permissions(mut self, mode: u32) -> Self {
            self.object = self.object.permissions(mode);
            self
        }

        /// Whose the channel that is created is: as [`SharedOptions::owner`].
        pub fn owner(mut self, user: Option<u32>, group: Option<u32>) -> Self {
            self.object = self.object.owner(user, group);
            self
        }

        /// How long the channel that is created lives: as [`SharedOptions::lifetime`].
        pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
            self.object = self.object.lifetime(lifetime);
            self
        }

        /// What this process says that it does, as [`SharedOptions::role`]; "channel" if nothing is said.
        pub fn role(mut self, role: &str) -> Self {
            self.object = self.object.role(role);
            self
        }

        /// Makes a channel that did not exist.
        ///
        /// It is whole when it gets its name, and its memory is set aside.
        ///
        /// # Errors
        /// [`Error::Invalid`] for numbers that make no sense; else those of [`SharedOptions::create`].
        pub fn create<T, N>(&self, name: N) -> Result<Channel<T>, Error>
        where
            T: Message + ?Sized,
            N: TryInto<ObjectName, Error: Into<Error>>,
        {
            let name = ObjectName::given(name)?;
            let shape = self.shape::<T>(&name)?;
            let len = u64::try_from(shape.len).unwrap_or(u64::MAX);
            let options = self.object.clone().len(len).layout_hash(message::layout::<T>());
            let object = options.first_bytes(shape.parameters().as_bytes()).create(&name)?;
            Channel::new(object, shape)
        }

        /// Opens a channel that exists.
        ///
        /// # Errors
        /// [`Error::WrongLayout`] if it is not what was asked for, or has messages of another type; [`Error::Corrupt`]
        /// if it is none that could have been made; else those of [`SharedOptions::open`].
        pub fn open<T, N>(&self, name: N) -> Result<Channel<T>, Error>
        where
            T: Message + ?Sized,
            N: TryInto<ObjectName, Error: Into<Error>>,
        {
            let any = self.any_type && T::FIXED_LEN.is_none();
            let options = self.object.clone().layout_hash(if any { 0 } else { message::layout::<T>() });
            let object = options.open(name)?;
            let shape = Shape::read(object.memory())?;
            self.check(&object, &shape)?;
            if let Some(len) = T::FIXED_LEN
                && (!shape.fixed || len != shape.message_len)
            {
                return Err(object.memory().corrupt(0, "its messages have not the length of their type"));
            }
            Channel::new(object, shape)
        }

        /// Opens a channel, or makes it if there is none; among several who do, one makes it.
        ///
        /// # Errors
        /// Those of [`create`](Self::create) and [`open`](Self::open).
        pub fn open_or_create<T, N>(&self, name: N) -> Result<Channel<T>, Error>
        where
            T: Message + ?Sized,
            N: TryInto<ObjectName, Error: Into<Error>>,
        {
            let name = ObjectName::given(name)?;
            open_or_create(&name, || self.open(&name), || self.create(&name))
        }

        /// What is asked for, with what is usual for the rest.
        fn shape<T: Message + ?Sized>(&self, name: &ObjectName) -> Result<Shape, Error> {
            let refuse = |reason: &str| Err(Error::invalid(name.to_string(), reason));
            let kind = self.kind.unwrap_or_default();
            let parties = |asked: Option<u32>| asked.unwrap_or(if kind == Kind::Spsc { 1 } else { DEFAULT_PARTIES });
            let (senders, receivers) = (parties(self.senders), parties(self.receivers));
            if !PARTIES.contains(&senders) || !PARTIES.contains(&receivers) {
                return refuse("there are 1 to 1024 senders, and as many receivers");
            }
            if kind == Kind::Spsc && (senders, receivers) != (1, 1) {
                return refuse("a channel for several is a broadcast channel");
            }
            let Some(slots) = self.slots() else { return refuse("the capacity is 2 to 2^24 messages") };
            let message_len = match T::FIXED_LEN {
                Some(len) => u64::try_from(len).unwrap_or(u64::MAX),
                None => self.message_len.unwrap_or(DEFAULT_MESSAGE_LEN),
            };
            let mut builder = Builder {
                kind,
                full: self.full.unwrap_or_default(),
                wait: self.wait.unwrap_or_default(),
                senders,
                receivers,
                fixed: T::FIXED_LEN.is_some(),
                slots,
                message_len,
                buffer_bytes: 0,
            };
            // A buffer only where messages do not fit into slots.
            let shape = builder.build().or_else(|| {
                let usual = message_len.saturating_mul(4).max(LEAST_BUFFER);
                let asked = self.buffer_bytes.unwrap_or(usual).checked_next_power_of_two();
                builder.buffer_bytes = asked.unwrap_or(0);
                builder.build()
            });
            shape.map_or_else(|| refuse("its messages are too long, or its buffer is too small for one"), Ok)
        }

        fn slots(&self) -> Option<u64> {
            let asked = self.capacity.unwrap_or(DEFAULT_CAPACITY);
            asked.max(*SLOTS.start()).checked_next_power_of_two().filter(|slots| asked != 0 && SLOTS.contains(slots))
        }

        /// Compares what was asked for with what is there.
        fn check(&self, object: &crate::object::SharedObject, found: &Shape) -> Result<(), Error> {
            let wrong = |what: &str, asked: String, found: String| {
                let (expected, found) = (format!("{what} {asked}"), format!("{what} {found}"));
                Err(Error::WrongLayout { object: object.name().to_owned(), expected, found })
            };
            let numbers = [
                ("capacity", self.capacity.and_then(|_| self.slots()), found.slots),
                ("message length", self.message_len, u64::try_from(found.message_len).unwrap_or(u64::MAX)),
                (
                    "buffer",
                    self.buffer_bytes.and_then(u64::checked_next_power_of_two).filter(|_| found.buffer_bytes != 0),
                    found.buffer_bytes,
                ),
                ("senders", self.senders.map(u64::from), found.senders.into()),
                ("receivers", self.receivers.map(u64::from), found.receivers.into()),
            ];
            for (what, asked, found) in numbers {
                if let Some(asked) = asked
                    && asked != found
                {
                    return wrong(what, asked.to_string(), found.to_string());
                }
            }
            let words = [
                ("kind", self.kind.map(|kind| kind.to_string()), found.kind.to_string()),
                ("when full", self.full.map(|full| full.to_string()), found.full.to_string()),
                ("wait", self.wait.map(|wait| wait.to_string()), found.wait.to_string()),
            ];
            for (what, asked, found) in words {
                if let Some(asked) = asked
                    && asked != found
                {
                    return wrong(what, asked, found);
                }
            }
            Ok(())
        }
    }
}

macro_rules! words {
    ($type:ident { $($variant:ident: $word:literal),+ }) => {
        impl std::fmt::Display for $type {
            /// The word by which the command line calls it.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }

        impl std::str::FromStr for $type {
            type Err = crate::error::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(crate::error::Error::invalid(text, concat!("expected", $(" ", $word),+))),
                }
            }
        }
    };
}

words!(Kind { Spsc: "spsc", Broadcast: "broadcast" });
words!(Full { Block: "block", DropOldest: "drop-oldest" });
words!(Wait { Spin: "spin", SpinThenSleep: "spin-then-sleep", Sleep: "sleep" });
