//! Addresses of people and machines on the net.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::chance::Chance;

const FIRST: &[&str] = &[
    "ada", "grace", "alan", "maria", "jose", "wei", "fatima", "lars", "anna", "ivan", "yuki",
    "omar", "chloe", "raj", "Sven", "Emma", "liam", "noah", "zoe", "tom",
];
const LAST: &[&str] = &[
    "lovelace", "hopper", "turing", "garcia", "smith", "chen", "khan", "berg", "novak", "petrov",
    "tanaka", "okafor", "muller", "dubois", "rossi", "Silva", "jones", "lee", "oconnor",
];
const DOMAINS: &[&str] = &[
    "example.com",
    "example.org",
    "mail.example.net",
    "gmail.com",
    "googlemail.com",
    "outlook.com",
    "yahoo.co.uk",
    "example.co.jp",
    "icloud.com",
    "proton.me",
    "web.de",
    "orange.fr",
    "uol.com.br",
    "sub.dept.university.edu",
    "my-company.io",
    "startup.ai",
    "studio.photography",
    "city.museum",
    "gov.example.gov.uk",
    "EXAMPLE.COM",
    "xn--bcher-kva.example",
    "qq.com",
    "1und1.de",
];

/// A first name, for prose.
pub(super) fn first(chance: &mut Chance) -> String {
    chance.pick(FIRST).to_owned()
}

/// An address of a mailbox.
pub(super) fn email(chance: &mut Chance) -> String {
    if chance.one_in(25) {
        return chance
            .pick(&[
                "josé.garcía@correo.es",
                "müller@büro.de",
                "用户@例子.广告",
                "иван@почта.рф",
                "\"ada lovelace\"@example.com",
                "root@[192.0.2.7]",
                "bounce+ada=example.com@list.example.org",
                "o'brien@example.ie",
            ])
            .to_owned();
    }
    let (first, last) = (chance.pick(FIRST), chance.pick(LAST));
    let domain = chance.pick(DOMAINS);
    let initial = first.get(..1).unwrap_or_default();
    let number = chance.below(2_000);
    let local = match chance.below(9) {
        0 => format!("{first}.{last}"),
        1 => format!("{first}_{last}"),
        2 => format!("{initial}{last}"),
        3 => format!("{first}{number}"),
        4 => format!("{first}.{last}+news"),
        5 => format!("{first}-{last}"),
        6 => format!("{initial}.{last}{number}"),
        7 => format!("{number}{first}"),
        _ => first.to_owned(),
    };
    format!("{local}@{domain}")
}

/// An IPv4 address of any network.
pub(super) fn ipv4(chance: &mut Chance) -> String {
    let [.., a, b, c, d] = chance.next().to_be_bytes();
    match chance.below(4) {
        0 => Ipv4Addr::new(10, b, c, d),
        1 => Ipv4Addr::new(192, 168, c, d),
        2 => Ipv4Addr::new(172, 16 + b % 16, c, d),
        _ => Ipv4Addr::new(a.max(1), b, c, d),
    }
    .to_string()
}

/// An IPv6 address, in full or with its zeros left out.
pub(super) fn ipv6(chance: &mut Chance) -> String {
    match chance.below(6) {
        0 => chance.fill("fe80::%%%%:%%ff:fe%%:%%%%"),
        1 => chance.fill("2001:0db8:85a3:0000:0000:8a2e:%%%%:%%%%"),
        2 => chance.fill("2a02:8109:%%%%:%%%%:%%%%:%%%%:%%%%:%%%%"),
        3 => chance.fill("::ffff:10.0.1##.7"),
        4 => "::1".to_owned(),
        _ => {
            let bits = u128::from(chance.next()) & 0xFFFF_0000_FFFF;
            Ipv6Addr::from((0x2001_0db8 << 96) | bits).to_string()
        }
    }
}

/// An IP address.
pub(super) fn ip(chance: &mut Chance) -> String {
    match chance.below(4) {
        0 => ipv6(chance),
        _ => ipv4(chance),
    }
}

/// A hardware address.
pub(super) fn mac(chance: &mut Chance) -> String {
    let form = chance.pick(&[
        "%%:%%:%%:%%:%%:%%",
        "%%:%%:%%:%%:%%:%%",
        "a%-%%-%%-%%-%%-%%",
        "b%%%.%%%%.%%%%",
    ]);
    let small = chance.fill(form);
    if chance.one_in(2) {
        small.to_ascii_uppercase()
    } else {
        small
    }
}

/// User and password, as they stand in a URL.
pub(super) fn credentials(chance: &mut Chance) -> String {
    let user = chance.pick(&[
        "app",
        "root",
        "admin",
        "svc_ingest",
        "deploy",
        "",
        "ada%40x.io",
    ]);
    let form = chance.pick(&[
        "s3cret",
        "hunter#",
        "p%%40~~~~",
        "~~~~^^^^####",
        "P@ss^##",
        "x",
    ]);
    format!("{user}:{}", chance.fill(form))
}
