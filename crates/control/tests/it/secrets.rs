//! Secrets from variables and files.

use std::io::Write;

use tenantry_control::{SecretRef, Secrets};

use crate::world::environment;

fn file(content: &[u8]) -> (tempfile::NamedTempFile, SecretRef) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    let reference = format!("file:{}", file.path().display()).parse().unwrap();
    (file, reference)
}

#[test]
fn files_lose_one_line_end_and_nothing_else() {
    let secrets = Secrets::new(environment);
    for (content, expect) in [
        ("canary", "canary"),
        ("canary\n", "canary"),
        ("canary\r\n", "canary"),
        (" canary \n\n", " canary \n"),
    ] {
        let (_file, reference) = file(content.as_bytes());
        assert_eq!(
            secrets.resolve(&reference).unwrap().expose(),
            expect.as_bytes()
        );
    }
}

#[test]
fn a_secret_that_cannot_be_had_is_named_and_not_shown() {
    let secrets = Secrets::new(environment);
    let (_large, large) = file(&[b'x'; 64 * 1024 + 1]);
    let (_empty, empty) = file(b"\n");
    let (_full, full) = file(&[b'x'; 64 * 1024]);
    assert_eq!(secrets.resolve(&full).unwrap().expose().len(), 64 * 1024);
    for (reference, why) in [
        (large, "has more than 65536 bytes"),
        (empty, "is empty"),
        ("env:UNSET".parse().unwrap(), "is not set"),
        (
            "file:/nonexistent".parse().unwrap(),
            "cannot be read: entity not found",
        ),
        ("file:/".parse().unwrap(), "cannot be read: is a directory"),
    ] {
        let error = secrets.resolve(&reference).unwrap_err();
        assert_eq!(error.to_string(), format!("the secret {reference} {why}"));
    }
}

#[tokio::test]
async fn values_never_print() {
    let secrets = Secrets::new(environment);
    let value = secrets.fetch(&"env:CANARY".parse().unwrap()).await.unwrap();
    assert_eq!(value.expose(), b"canary-value");
    let shown = format!(
        "{value} {value:?} {value:#?} {secrets:?} {:?}",
        Some(&value)
    );
    assert!(!shown.contains("canary"), "{shown}");
}
