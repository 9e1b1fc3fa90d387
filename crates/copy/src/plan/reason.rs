//! Why a plan is as it is, in words.

use super::{Engine, Facts, Holes, Plan, Reflink};

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The user did.
    Asked,
    /// The user did, by asking for shared blocks and nothing else.
    MustShare,
    /// The file does not tell its length.
    NoLength,
    /// It is so short that any preparation costs more than it saves.
    Small,
    /// It is too short for two threads.
    Middle,
    /// It is long, and its bytes are in memory, as far as is known.
    Large,
    /// It is long, and most of it is on the disk.
    Cold,
    /// The file system's server copies by itself.
    Offloaded,
}

/// One line for people.
pub(super) fn sentence(plan: &Plan) -> String {
    let mut words = vec![facts(plan.facts), engine(plan)];
    if plan.engine == Engine::ReadWrite && plan.preallocate {
        words.push("allocating ahead spares the file system its delayed allocation".to_owned());
    }
    words.extend(holes(plan).map(str::to_owned));
    words.extend(sharing(plan).map(str::to_owned));
    words.join("; ")
}

fn facts(facts: Facts) -> String {
    let mut words = match facts.len {
        0 => "a file that tells no length".to_owned(),
        len => format!("{len} bytes"),
    };
    if facts.allocated < facts.len {
        words += &format!(", of which {} have blocks", facts.allocated);
    }
    if let Some(cached) = facts.cached {
        words += &format!(", {cached} of them in the page cache");
    }
    let device = if facts.same_device { "on the same device" } else { "on another device" };
    words += &format!(", from {} to {} {device}", facts.from, facts.to);
    words
}

fn engine(plan: &Plan) -> String {
    let (engine, threads) = (plan.engine, plan.threads);
    match plan.why {
        Why::Asked => format!("{engine} was asked for"),
        Why::MustShare => "sharing the blocks was asked for, whatever it takes".to_owned(),
        Why::NoLength => format!("{engine}, since only reading tells where it ends"),
        Why::Offloaded => format!("{engine}, since the file system may copy without sending the bytes here"),
        Why::Small | Why::Middle | Why::Large | Why::Cold if is_asked_for(plan) => {
            let bytes = plan.buffer_bytes;
            format!("{engine} with {threads} thread(s) and buffers of {bytes} bytes, some of which was asked for")
        }
        Why::Small => format!("{engine} through one small buffer, since any preparation costs more than it saves"),
        Why::Middle => format!("{engine} through one small buffer that stays in the processor's cache"),
        Why::Large | Why::Cold if threads.get() == 1 => {
            format!("{engine} with one thread, since there is one processor")
        }
        Why::Large => format!("{engine} with {threads} threads, since one does not keep the memory busy"),
        Why::Cold => format!("{engine} with {threads} threads, so that one reads from the disk while the other writes"),
    }
}

/// Whether the threads or the buffer are the user's choice, so that the reasons for ours are none.
fn is_asked_for(plan: &Plan) -> bool {
    plan.request.threads.is_some() || plan.request.buffer_bytes.is_some()
}

fn holes(plan: &Plan) -> Option<&'static str> {
    match plan.holes {
        Holes::Absent => None,
        Holes::Kept => Some("holes stay holes"),
        Holes::Made => Some("holes stay holes and zeros become holes, as was asked for"),
        Holes::Filled => Some("holes are written as zeros, as was asked for"),
    }
}

fn sharing(plan: &Plan) -> Option<&'static str> {
    match plan.reflink {
        Reflink::Auto => Some("before that, sharing the blocks is tried"),
        Reflink::Always | Reflink::Never => None,
    }
}
