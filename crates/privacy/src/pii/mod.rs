//! Personal data in text: found, and replaced by typed placeholders.
