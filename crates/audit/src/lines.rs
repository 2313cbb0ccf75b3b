//! The text form of small leaves: a tag, then one value per line.

/// Writes `tag` and `values`, each ended by a newline.
pub(crate) fn write(tag: &str, values: &[&dyn std::fmt::Display]) -> Vec<u8> {
    let mut text = format!("{tag}\n");
    for value in values {
        text.push_str(&value.to_string());
        text.push('\n');
    }
    text.into_bytes()
}

/// Reads exactly `N` values after `tag`.
pub(crate) fn read<'a, const N: usize>(tag: &str, bytes: &'a [u8]) -> Option<[&'a str; N]> {
    let text = std::str::from_utf8(bytes).ok()?;
    let values = text.strip_prefix(tag)?.strip_prefix('\n')?;
    let values: Vec<&str> = values.strip_suffix('\n')?.split('\n').collect();
    values.try_into().ok()
}
