//! Keys and tokens of well-known services, by the prefixes that they publish.
//!
//! Sources: AWS IAM "unique identifiers", GitHub "about authentication"
//! (token formats), GitLab "token overview", Slack "token types", Stripe "API
//! keys", Google Cloud "API keys", and the patterns of GitHub's and GitLab's
//! secret scanning for the others. Where no length is published, the shortest
//! that was seen counts, and longer ones are taken whole.

use super::{
    kind::Kind,
    scanner::{Match, Tail},
    window::Window,
};

/// What the part behind a prefix is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    /// Letters and digits.
    Alnum,
    /// Capitals and digits.
    Upper,
    /// Hexadecimal digits.
    Hex,
    /// Letters, digits, dashes and underscores.
    Base64Url,
    /// The same, and dots.
    Dotted,
}

struct Shape {
    prefix: &'static str,
    alphabet: Alphabet,
    /// How much is behind the prefix at least, in bytes.
    min: usize,
    /// Whether it is exactly as much.
    exact: bool,
}

const fn open(prefix: &'static str, alphabet: Alphabet, min: usize) -> Shape {
    Shape {
        prefix,
        alphabet,
        min,
        exact: false,
    }
}

const fn exact(prefix: &'static str, alphabet: Alphabet, min: usize) -> Shape {
    Shape {
        prefix,
        alphabet,
        min,
        exact: true,
    }
}

use Alphabet::{Alnum, Base64Url, Dotted, Hex, Upper};

const SHAPES: &[Shape] = &[
    // AWS access key ids, long-lived and temporary; Bedrock.
    exact("AKIA", Upper, 16),
    exact("ASIA", Upper, 16),
    exact("ABIA", Upper, 16),
    exact("ACCA", Upper, 16),
    open("ABSK", Alnum, 60),
    // GitHub.
    open("ghp_", Alnum, 36),
    open("gho_", Alnum, 36),
    open("ghu_", Alnum, 36),
    open("ghs_", Alnum, 36),
    open("ghr_", Alnum, 36),
    open("github_pat_", Base64Url, 60),
    // GitLab.
    open("glpat-", Dotted, 20),
    open("gloas-", Base64Url, 40),
    open("gldt-", Base64Url, 20),
    open("glrt-", Base64Url, 20),
    open("glcbt-", Base64Url, 20),
    open("glptt-", Hex, 40),
    open("glft-", Base64Url, 20),
    open("glagent-", Base64Url, 40),
    // Slack.
    open("xoxb-", Base64Url, 20),
    open("xoxp-", Base64Url, 20),
    open("xoxa-", Base64Url, 20),
    open("xoxr-", Base64Url, 20),
    open("xoxs-", Base64Url, 20),
    open("xoxe.", Dotted, 20),
    open("xoxe-", Base64Url, 20),
    open("xapp-", Base64Url, 20),
    // Stripe; publishable keys are public.
    open("sk_live_", Alnum, 16),
    open("sk_test_", Alnum, 16),
    open("rk_live_", Alnum, 16),
    open("rk_test_", Alnum, 16),
    open("whsec_", Alnum, 24),
    // Google: API keys, OAuth secrets and tokens.
    open("AIza", Base64Url, 35),
    open("GOCSPX-", Base64Url, 24),
    open("ya29.", Base64Url, 40),
    // OpenAI and Anthropic; what the names of branches look like is shorter.
    open("sk-proj-", Base64Url, 40),
    open("sk-svcacct-", Base64Url, 40),
    open("sk-admin-", Base64Url, 40),
    open("sk-ant-", Base64Url, 24),
    open("sk-or-v1-", Hex, 40),
    open("sk-", Alnum, 32),
    // Registries and hosts.
    open("npm_", Alnum, 36),
    open("pypi-AgEI", Base64Url, 50),
    open("hf_", Alnum, 30),
    open("dop_v1_", Hex, 64),
    open("doo_v1_", Hex, 64),
    open("dapi", Hex, 32),
    open("hvs.", Base64Url, 24),
    open("hvb.", Base64Url, 24),
    open("ntn_", Alnum, 40),
    open("lin_api_", Alnum, 32),
    open("glsa_", Base64Url, 32),
    // Mail, telephony and trade.
    open("SG.", Dotted, 60),
    exact("SK", Hex, 32),
    exact("key-", Hex, 32),
    open("shpat_", Hex, 32),
    open("shpss_", Hex, 32),
    open("sq0csp-", Base64Url, 40),
    open("sq0atp-", Base64Url, 22),
    open("PMAK-", Base64Url, 50),
    open("AGE-SECRET-KEY-1", Upper, 50),
];

/// The key that begins at `at`.
pub(super) fn find(window: &Window<'_>, at: usize) -> Option<Match> {
    let first = window.at(at)?;
    if first.is_ascii_digit() {
        return telegram(window, at);
    }
    let shapes = SHAPES
        .iter()
        .filter(|shape| shape.prefix.as_bytes().first() == Some(&first));
    for shape in shapes {
        if let Some(found) = shape.find(window, at) {
            return Some(found);
        }
    }
    aws_secret(window, at)
}

impl Shape {
    fn find(&self, window: &Window<'_>, at: usize) -> Option<Match> {
        if !window.starts_with(at, self.prefix.as_bytes()) {
            return None;
        }
        let from = at + self.prefix.len();
        let end = from + self.min;
        if window.run(from, self.min, |b| self.alphabet.has(b)) < self.min {
            return None;
        }
        if self.exact && window.at(end).is_some_and(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        let tail = if self.exact {
            Tail::Nothing
        } else {
            Tail::Token
        };
        Some(Match {
            tail,
            ..Match::new(Kind::ApiKey, at, end)
        })
    }
}

impl Alphabet {
    fn has(self, b: u8) -> bool {
        match self {
            Self::Alnum => b.is_ascii_alphanumeric(),
            Self::Upper => b.is_ascii_uppercase() || b.is_ascii_digit(),
            Self::Hex => b.is_ascii_hexdigit(),
            Self::Base64Url => b.is_ascii_alphanumeric() || b == b'-' || b == b'_',
            Self::Dotted => b.is_ascii_alphanumeric() || b"-_.".contains(&b),
        }
    }
}

/// A token of a Telegram bot: its number, and 35 characters behind a colon.
fn telegram(window: &Window<'_>, at: usize) -> Option<Match> {
    let id = window.run(at, 11, |b| b.is_ascii_digit());
    if !(8..=10).contains(&id) || !window.starts_with(at + id, b":AA") {
        return None;
    }
    let from = at + id + 1;
    let size = window.run(from, 36, |b| Base64Url.has(b));
    (size == 35).then(|| Match::new(Kind::ApiKey, at, from + size))
}

/// Names before a secret access key of AWS, which has no prefix of its own.
const AWS_SECRET_NAMES: &[&[u8]] = &[b"aws_secret_access_key", b"secretaccesskey"];
/// Length of a secret access key, in bytes.
const AWS_SECRET_BYTES: usize = 40;
/// Most bytes between the name and the key, such as `": "`.
const ASSIGNMENT_BYTES_MAX: usize = 8;

fn aws_secret(window: &Window<'_>, at: usize) -> Option<Match> {
    let name = AWS_SECRET_NAMES
        .iter()
        .find(|name| window.starts_with_any_case(at, name))?;
    let after = at + name.len();
    let assigned = window.run(after, ASSIGNMENT_BYTES_MAX, |b| b" \t\"'`:=>,".contains(&b));
    let from = after + assigned;
    let is_secret = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    let size = window.run(from, AWS_SECRET_BYTES + 1, is_secret);
    let whole = assigned > 0 && size == AWS_SECRET_BYTES;
    whole.then(|| Match::new(Kind::ApiKey, from, from + size))
}

#[cfg(test)]
mod tests {
    use super::super::{Kind::ApiKey, tests::check};
    use super::*;

    /// Made here, so that no key stands in the source.
    fn sample(shape: &Shape) -> String {
        let body: &str = match shape.alphabet {
            Hex => "0123456789abcdef",
            Upper => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
            _ => "aB3dE5gH7jK9mN1pQ2sT4vW6xY8z",
        };
        let body: String = body.chars().cycle().take(shape.min).collect();
        format!("{}{body}", shape.prefix)
    }

    #[test]
    fn keys_of_every_shape_are_found() {
        for shape in SHAPES {
            let key = sample(shape);
            check(&key, &[(ApiKey, &key)]);
            check(&format!("key=\"{key}\";"), &[(ApiKey, &key)]);
            check(&format!("x{key}"), &[]);
        }
    }

    #[test]
    fn keys_that_are_cut_short_are_left() {
        for shape in SHAPES {
            let key = sample(shape);
            check(&key[..key.len() - 1], &[]);
        }
    }

    #[test]
    fn longer_keys_are_taken_whole_or_not_at_all() {
        for shape in SHAPES {
            let key = format!("{}{}", sample(shape), "2".repeat(500));
            let all: &[_] = &[(ApiKey, key.as_str())];
            check(&key, if shape.exact { &[] } else { all });
        }
    }

    #[test]
    fn secrets_without_a_prefix_are_known_by_their_name() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzzzzzzzKEY";
        for name in [
            "aws_secret_access_key = ",
            "AWS_SECRET_ACCESS_KEY=",
            "\"SecretAccessKey\": \"",
        ] {
            check(&format!("{name}{secret}\n"), &[(ApiKey, secret)]);
        }
        check(secret, &[]);
        let token = format!("123456789:AA{}", "b".repeat(33));
        check(&format!("bot {token}"), &[(ApiKey, &token)]);
        check(&format!("bot {token}b"), &[]);
    }

    #[test]
    fn words_of_the_same_beginning_are_left() {
        for text in [
            "sk-feature-branch-name-that-is-long",
            "key-value-store-of-the-service",
            "hf_model",
        ] {
            check(text, &[]);
        }
    }
}
