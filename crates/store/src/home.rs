//! Whose a name is: what decides which engine keeps it.

use identity::{Env, TenantId};

use crate::{Partition, StreamKey, ThrottleKey};

/// Whose something is, and what kind of thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home<'a> {
    /// The tenant; `t_system` for what spans tenants.
    pub tenant: TenantId,
    /// The environment, unless it is the same in all.
    pub env: Option<Env>,
    /// The kind of documents, the rail, or the rate.
    pub holds: &'a str,
}

impl<'a> Home<'a> {
    /// Reads a name that this crate made; `None` for any other.
    fn read(name: &'a str) -> Option<Self> {
        let mut parts = name.splitn(4, '/');
        let [first, second, third] = [parts.next()?, parts.next()?, parts.next()?];
        let rest = parts.next();
        let (tenant, env, holds) = match (first, second) {
            ("control", "tenants") => (third.parse().ok()?, None, rest?),
            ("control", "system") => (TenantId::system(), None, third),
            ("tenants", tenant) => (tenant.parse().ok()?, Some(third.parse().ok()?), rest?),
            _ => return None,
        };
        Some(Self { tenant, env, holds })
    }
}

impl Partition {
    /// Whose documents they are, and of which kind.
    #[must_use]
    pub fn home(&self) -> Option<Home<'_>> {
        Home::read(self.as_str())
    }
}

impl StreamKey {
    /// Whose stream it is, and on which rail.
    #[must_use]
    pub fn home(&self) -> Option<Home<'_>> {
        home_of_stream(self.as_str())
    }
}

/// Whose stream has this name.
pub(crate) fn home_of_stream(name: &str) -> Option<Home<'_>> {
    let home = Home::read(name)?;
    let (rail, _) = home.holds.split_once('/')?;
    Some(Home {
        holds: rail,
        ..home
    })
}

impl ThrottleKey {
    /// Whose rate it is; one of the process is the system's.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        let mut parts = self.as_str().split('/');
        match (parts.next()?, parts.next()?) {
            ("tenants", tenant) => tenant.parse().ok(),
            _ => Some(TenantId::system()),
        }
    }
}

#[cfg(test)]
mod tests {
    use identity::SystemAuthority;

    use super::*;
    use crate::Topic;

    #[test]
    fn a_name_says_whose_it_is() {
        let authority = SystemAuthority::assume();
        let tenant: TenantId = "t_a".parse().unwrap();
        let home = |env, holds| {
            Some(Home {
                tenant: tenant.clone(),
                env,
                holds,
            })
        };
        let partition = Partition::of_env(&authority, &tenant, Env::Dev, "cards");
        assert_eq!(partition.home(), home(Some(Env::Dev), "cards"));
        let partition = Partition::of_tenant(&authority, &tenant, "audit-tiles");
        assert_eq!(partition.home(), home(None, "audit-tiles"));
        let partition = Partition::of_system(&authority, "tickets");
        let system = partition.home().unwrap();
        assert!(system.tenant.is_system());
        assert_eq!((system.env, system.holds), (None, "tickets"));
        let stream = StreamKey::of_tenant(&authority, &tenant, Env::Prod, "chat", "p_1/th_1/x");
        assert_eq!(stream.home(), home(Some(Env::Prod), "chat"));
        assert_eq!(Topic::of_stream(&stream).home(), stream.home());
        assert_eq!(Topic::of_system(&authority, "chat").home(), None);
    }

    #[test]
    fn a_rate_is_a_tenants_or_the_systems() {
        let login = ThrottleKey::of_system(&SystemAuthority::assume(), "login", "a@b.example/x");
        assert!(login.tenant().unwrap().is_system());
    }
}
