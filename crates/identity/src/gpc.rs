//! Global Privacy Control, as a request header (W3C, <https://www.w3.org/TR/gpc/>).

/// Whether the values of `Sec-GPC` ask for privacy: any that is exactly `1`.
///
/// A proxy may join repeated headers with commas (RFC 9110, section 5.3), so a
/// member of such a list counts like a header of its own. What is not `1` says
/// nothing: the signal only ever tightens.
pub fn asks_for_privacy<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut members = values
        .into_iter()
        .flat_map(|value| value.split(|byte| *byte == b','));
    members.any(|member| member.trim_ascii() == b"1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_the_only_signal_and_one_of_many_is_enough() {
        let asks = |values: &[&str]| asks_for_privacy(values.iter().map(|value| value.as_bytes()));
        for yes in [
            &["1"][..],
            &["0", "1"],
            &["1", "0"],
            &["1", "1"],
            &["0,1"],
            &["1 , 0"],
        ] {
            assert!(asks(yes), "{yes:?}");
        }
        for no in [
            &[][..],
            &[""],
            &["0"],
            &["true"],
            &["01"],
            &["11"],
            &["1.0"],
            &["\"1\""],
            &["1;1"],
            &["?1"],
            &["0", "true"],
        ] {
            assert!(!asks(no), "{no:?}");
        }
    }
}
