//! Who may use what is made, and whose it is: `640`, `1000:100`.

/// Reads permissions: octal digits, for the nine bits of chmod(2).
pub(crate) fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777 && !text.starts_with('+'));
    mode.ok_or_else(|| format!("'{text}' is not a mode of three octal digits, such as 640"))
}

/// A user and a group, by numbers; `None` for what is not to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: Option<u32>,
    pub(crate) group: Option<u32>,
}

/// Reads an owner: `USER`, `USER:GROUP` or `:GROUP`.
pub(crate) fn owner(text: &str) -> Result<Owner, String> {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let number = |text: &str| {
        let number = (!text.is_empty()).then(|| text.parse::<u32>()).transpose();
        // The highest one is "no change" to chown(2).
        number.ok().filter(|number| *number != Some(u32::MAX))
    };
    match (number(user), number(group)) {
        (Some(user), Some(group)) if user.is_some() || group.is_some() => Ok(Owner { user, group }),
        _ => Err(format!("'{text}' is not USER, USER:GROUP or :GROUP, by numbers")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_three_octal_digits() {
        assert_eq!((mode("600"), mode("0644"), mode("0"), mode("777")), (Ok(0o600), Ok(0o644), Ok(0), Ok(0o777)));
        for bad in ["", "8", "1000", "-1", "+7", "u+w"] {
            assert!(mode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_owner_is_a_user_a_group_or_both() {
        let read = |text| owner(text).map(|owner| (owner.user, owner.group));
        assert_eq!(read("7"), Ok((Some(7), None)));
        assert_eq!(read("7:8"), Ok((Some(7), Some(8))));
        assert_eq!(read(":8"), Ok((None, Some(8))));
        for bad in ["", ":", "root", "7:8:9", "4294967295", "-1"] {
            assert!(owner(bad).is_err(), "{bad}");
        }
    }
}
