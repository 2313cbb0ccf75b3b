//! Numbering plans: the metadata of the `phonenumber` crate (Google's libphonenumber).
//!
//! Its patterns are compiled here, one per country and only when a number asks
//! for it: the crate's own cache holds a hundred patterns behind one lock, and
//! a text with numbers of a few countries would compile them over and over.

use std::{
    collections::HashMap,
    sync::{LazyLock, OnceLock},
};

use phonenumber::metadata::{DATABASE, Descriptor, Metadata};
use regex::{Regex, RegexBuilder};

/// Countries whose national numbers are recognised without a country code.
///
/// The most populous, and the most connected; more would make nearly every
/// number a telephone number of some country.
const NATIONAL: &[&str] = &[
    "US", "CA", "GB", "DE", "FR", "IT", "ES", "NL", "BE", "CH", "AT", "SE", "NO", "DK", "FI", "PL",
    "PT", "IE", "CZ", "GR", "TR", "RU", "UA", "IN", "CN", "JP", "KR", "AU", "NZ", "BR", "MX", "AR",
    "ZA", "NG", "EG", "IL", "SG", "HK", "ID", "PH", "AE",
];

/// Those of them where a number begins with zero when it is dialled.
const LEADING_ZERO: &[&str] = &[
    "GB", "DE", "FR", "IT", "NL", "BE", "CH", "AT", "SE", "FI", "IE", "TR", "UA", "IN", "CN", "JP",
    "KR", "AU", "NZ", "ZA", "NG", "EG", "IL", "ID", "PH", "AE",
];

/// Longest country code, in digits.
const CODE_DIGITS_MAX: u32 = 3;
/// What the compiled patterns of one country may take, in bytes.
const PATTERN_BYTES_MAX: usize = 4 << 20;

/// The plan of one country.
struct Plan {
    trunk: Option<&'static str>,
    meta: &'static Metadata,
    pattern: OnceLock<Option<Regex>>,
}

struct Plans {
    all: Vec<Plan>,
    by_code: HashMap<u16, Vec<usize>>,
    by_country: HashMap<&'static str, usize>,
}

static PLANS: LazyLock<Plans> = LazyLock::new(Plans::load);

impl Plans {
    fn load() -> Self {
        let mut plans = Self {
            all: Vec::new(),
            by_code: HashMap::new(),
            by_country: HashMap::new(),
        };
        // Of each code the main country comes first.
        let codes = 1..10_u16.pow(CODE_DIGITS_MAX);
        let metas = codes.filter_map(|code| DATABASE.by_code(&code));
        for meta in metas.flatten() {
            let at = plans.all.len();
            plans
                .by_code
                .entry(meta.country_code())
                .or_default()
                .push(at);
            plans.by_country.insert(meta.id(), at);
            plans.all.push(Plan {
                trunk: meta.national_prefix(),
                meta,
                pattern: OnceLock::new(),
            });
        }
        plans
    }

    fn country(&self, id: &str) -> Option<&Plan> {
        self.all.get(*self.by_country.get(id)?)
    }
}

impl Plan {
    /// Whether `digits` are a number of the country, with or without its trunk prefix.
    fn has(&self, digits: &str) -> bool {
        let trunk = self.trunk.and_then(|trunk| digits.strip_prefix(trunk));
        self.matches(digits) || trunk.is_some_and(|digits| self.matches(digits))
    }

    fn matches(&self, national: &str) -> bool {
        let pattern = self.pattern.get_or_init(|| compile(self.meta));
        pattern
            .as_ref()
            .is_some_and(|pattern| pattern.is_match(national))
    }
}

/// All numbers that subscribers of a country have, as one pattern.
fn compile(meta: &Metadata) -> Option<Regex> {
    let kinds = meta.descriptors();
    let kinds = [
        kinds.fixed_line(),
        kinds.mobile(),
        kinds.toll_free(),
        kinds.premium_rate(),
        kinds.shared_cost(),
        kinds.personal_number(),
        kinds.voip(),
        kinds.pager(),
        kinds.uan(),
        kinds.voicemail(),
    ];
    let pattern = |kind: &Descriptor| format!("(?:{})", kind.national_number().as_str());
    let patterns: Vec<String> = kinds.into_iter().flatten().map(pattern).collect();
    let built = RegexBuilder::new(&format!("^(?:{})$", patterns.join("|")))
        .unicode(false)
        .ignore_whitespace(true)
        .size_limit(PATTERN_BYTES_MAX)
        .build();
    match built {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            tracing::error!(country = meta.id(), %error, "phone numbers of a country are not recognised");
            None
        }
    }
}

/// Whether `digits` are a country code and a number of that country.
pub(super) fn is_international(digits: &str) -> bool {
    (1..=CODE_DIGITS_MAX as usize).any(|size| {
        let Some((code, national)) = digits.split_at_checked(size) else {
            return false;
        };
        if code.starts_with('0') {
            return false;
        }
        let code = code.parse().ok();
        let plans = code.and_then(|code: u16| PLANS.by_code.get(&code));
        let mut plans = plans.into_iter().flatten();
        plans.any(|at| PLANS.all.get(*at).is_some_and(|plan| plan.has(national)))
    })
}

/// Whether `digits` are a number of one of the countries that are recognised without a code.
pub(super) fn is_national(digits: &str) -> bool {
    any_of(NATIONAL, digits)
}

/// Whether `digits`, which begin with zero, are a number as it is dialled within a country.
pub(super) fn has_leading_zero(digits: &str) -> bool {
    any_of(LEADING_ZERO, digits)
}

/// Whether `digits` are a number of the United States or Canada.
pub(super) fn is_north_american(digits: &str) -> bool {
    any_of(&["US", "CA"], digits)
}

fn any_of(countries: &[&str], digits: &str) -> bool {
    let mut plans = countries.iter().filter_map(|id| PLANS.country(id));
    plans.any(|plan| plan.has(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_compiles_and_has_its_own_example() {
        for plan in &PLANS.all {
            let kinds = plan.meta.descriptors();
            for kind in [kinds.fixed_line(), kinds.mobile()].into_iter().flatten() {
                if let Some(example) = kind.example() {
                    assert!(plan.has(example), "{} {example}", plan.meta.id());
                }
            }
        }
    }

    #[test]
    fn the_countries_are_there() {
        for id in NATIONAL.iter().chain(LEADING_ZERO) {
            assert!(PLANS.country(id).is_some(), "{id}");
        }
        for id in LEADING_ZERO.iter().filter(|id| **id != "IT") {
            assert_eq!(PLANS.country(id).unwrap().trunk, Some("0"), "{id}");
        }
    }

    #[test]
    fn codes_and_numbers_are_checked() {
        assert!(is_international("442079460958"));
        assert!(!is_international("44207946095"));
        assert!(!is_international("999123456789"));
        assert!(!is_international("0442079460958"));
        assert!(is_north_american("2124567890"));
        assert!(!is_north_american("1114567890"));
    }
}
