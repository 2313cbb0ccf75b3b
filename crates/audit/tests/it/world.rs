//! A small installation in memory: tenants, their logs, heads, epochs, a signing key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use identity::{Env, RequestId, Role, TenantId, Timestamp, UserId};
use serde_json::json;
use tenantry_audit::{
    Actor, DatasetEvent, Epoch, Evidence, ExportWriter, Hash, Head, HeadFlags, Heads, Label,
    Opened, Origin, Outcome, Personal, Phase, Receipt, Record, Salt, Seq, Signers, Target,
    TargetId, Training, Trust, TrustFile,
    log::{Ask, LogState, StoredTiles, Tile},
    seal::{KeyId, SubjectKey, SubjectKeys, open, seal},
    signer::generate_secret,
};
use testkit::SeededEntropy;

pub(crate) const ORIGIN: &str = "audit.test/tenantry";
const START_MS: i64 = 1_767_225_600_000;

/// A log with everything that was ever stored of it.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) state: LogState,
    pub(crate) tiles: Vec<Tile>,
}

impl Log {
    pub(crate) fn append(&mut self, leaf_hash: Hash) {
        let full = self.state.append(&[leaf_hash]).unwrap();
        self.tiles.extend(full);
    }

    /// Reads only the tiles that the log says it needs.
    pub(crate) fn prove(&self, ask: Ask) -> Vec<Hash> {
        let needed = self.state.needs(ask).unwrap();
        let stored: StoredTiles = self
            .tiles
            .iter()
            .filter(|tile| needed.contains(&tile.id))
            .cloned()
            .collect();
        self.state.prove(ask, &stored).unwrap()
    }
}

pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) env: Env,
    pub(crate) slot: u64,
    pub(crate) salt: Salt,
    pub(crate) log: Log,
    pub(crate) records: Vec<Record>,
    pub(crate) keys: SubjectKeys,
    /// As of the last epoch.
    pub(crate) head: Option<Head>,
}

pub(crate) struct World {
    pub(crate) entropy: SeededEntropy,
    pub(crate) signers: Signers,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) heads: Heads,
    pub(crate) epochs: Log,
    pub(crate) latest: Option<(Epoch, String)>,
    clock: Mutex<i64>,
}

pub(crate) fn label(text: &str) -> Label {
    text.parse().unwrap()
}

pub(crate) fn signers(seed: u64) -> Signers {
    signers_of(ORIGIN, seed)
}

pub(crate) fn signers_of(origin: &str, seed: u64) -> Signers {
    let origin: Origin = origin.parse().unwrap();
    let secret = generate_secret(&origin, &SeededEntropy::new(seed)).unwrap();
    Signers::from_secrets(origin, &[secret.as_bytes()]).unwrap()
}

/// An event by a user, with a personal value and something awkward in its metadata.
pub(crate) fn event(tenant: &TenantId, env: Env, user: &UserId, n: usize) -> DatasetEvent {
    let metadata = json!({"note": "\"quoted\" \\ \u{1} é 漢 \u{2028}", "n": n});
    DatasetEvent {
        tenant: tenant.clone(),
        env,
        project: "p_1".parse().ok(),
        time: Timestamp::from_unix_ms(START_MS + n as i64),
        actor: Actor::User {
            id: user.clone(),
            role: Some(Role::Admin),
        },
        action: label("control.member.remove"),
        target: Some(Target {
            kind: label("user"),
            id: TargetId::User("u_target".parse().unwrap()),
        }),
        phase: Phase::Event(Outcome::Done),
        request_id: RequestId::parse("req-1").unwrap(),
        traceparent: None,
        training: Training {
            allowed: false,
            source: "user".into(),
            version: 3,
        },
        idempotency: None,
        repeated: 1,
        metadata: metadata.as_object().unwrap().clone(),
        personal: vec![Personal {
            name: label("email"),
            subject: user.clone(),
            value: format!("{user}@example.test"),
        }],
    }
}

impl World {
    pub(crate) fn new(tenants: u64) -> Self {
        let entropy = SeededEntropy::new(1);
        let tenants = (0..tenants)
            .map(|slot| Tenant {
                id: format!("t_{slot}").parse().unwrap(),
                env: Env::Prod,
                slot,
                salt: Salt::generate(&entropy),
                log: Log::default(),
                records: Vec::new(),
                keys: SubjectKeys::new(),
                head: None,
            })
            .collect();
        Self {
            entropy,
            signers: signers(2),
            tenants,
            heads: Heads::new(Vec::new()),
            epochs: Log::default(),
            latest: None,
            clock: Mutex::new(START_MS),
        }
    }

    /// With `counts[i]` records in the log of tenant `i`, and one closed epoch.
    pub(crate) fn with_records(counts: &[usize]) -> Self {
        let mut world = Self::new(counts.len() as u64);
        for (tenant, count) in counts.iter().enumerate() {
            world.record(tenant, *count);
        }
        world.close_epoch();
        world
    }

    pub(crate) fn record(&mut self, tenant: usize, count: usize) {
        let tenant = &mut self.tenants[tenant];
        for _ in 0..count {
            let n = tenant.records.len();
            let user: UserId = format!("u_{}", n % 3).parse().unwrap();
            let event = event(&tenant.id, tenant.env, &user, n);
            for subject in event.subjects() {
                tenant
                    .keys
                    .entry(subject.clone())
                    .or_insert_with(|| Arc::new(SubjectKey::generate(&self.entropy)));
            }
            let record = seal(&event, &tenant.keys, &self.entropy).unwrap();
            tenant.log.append(record.leaf_hash());
            tenant.records.push(record);
        }
    }

    pub(crate) fn close_epoch(&mut self) {
        let mut changes = Vec::new();
        for tenant in &mut self.tenants {
            let head = Head {
                slot: tenant.slot,
                binding: tenantry_audit::head::binding(&tenant.salt, &tenant.id, tenant.env),
                size: tenant.log.state.size(),
                root: tenant.log.state.root(),
                flags: HeadFlags::default(),
            };
            changes.push((tenant.slot, head.leaf_hash()));
            tenant.head = Some(head);
        }
        let next = self.heads.prepare(&changes).unwrap();
        let mut clock = self.clock.lock().unwrap();
        *clock += 1000;
        let epoch = Epoch {
            number: self.epochs.state.size() + 1,
            slots: next.slots(),
            heads: next.root(),
            time: Timestamp::from_unix_ms(*clock),
        };
        self.epochs.append(epoch.leaf_hash());
        self.heads.apply(next).unwrap();
        let checkpoint = tenantry_audit::Checkpoint {
            origin: self.signers.origin().clone(),
            size: self.epochs.state.size(),
            root: self.epochs.state.root(),
        };
        let note = self.signers.sign_checkpoint(&checkpoint).unwrap();
        self.latest = Some((epoch, note));
    }

    pub(crate) fn trust_file(&self) -> TrustFile {
        TrustFile {
            origin: ORIGIN.to_owned(),
            keys: self.signers.verifier_keys().to_vec(),
            tenant: None,
            env: None,
            slot: None,
        }
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::new(self.trust_file()).unwrap()
    }

    pub(crate) fn note(&self) -> &str {
        &self.latest.as_ref().unwrap().1
    }

    pub(crate) fn evidence(&self, tenant: usize) -> Evidence {
        let tenant = &self.tenants[tenant];
        let (epoch, note) = self.latest.as_ref().unwrap();
        let ask = Ask::Inclusion {
            index: epoch.number - 1,
            size: self.epochs.state.size(),
        };
        Evidence::new(
            (tenant.id.clone(), tenant.env, tenant.salt),
            (
                tenant.head.as_ref().unwrap(),
                self.heads.prove(tenant.slot).unwrap(),
            ),
            (epoch, self.epochs.prove(ask)),
            note.clone(),
        )
        .unwrap()
    }

    pub(crate) fn opened(&self, tenant: usize, record: &Record) -> Opened {
        let keys: HashMap<KeyId, Arc<SubjectKey>> = self.tenants[tenant]
            .keys
            .values()
            .map(|key| (key.id(), Arc::clone(key)))
            .collect();
        open(record, &keys).unwrap()
    }

    pub(crate) fn receipt(&self, tenant: usize, seq: u64) -> Receipt {
        let seq = Seq::try_from(seq).unwrap();
        let owner = &self.tenants[tenant];
        let record = &owner.records[usize::try_from(seq.index()).unwrap()];
        let proof = owner.log.prove(Ask::Inclusion {
            index: seq.index(),
            size: owner.head.as_ref().unwrap().size,
        });
        let leaf = String::from_utf8(record.leaf.clone()).unwrap();
        let mut receipt = Receipt::new(seq, leaf, proof, self.evidence(tenant));
        receipt.opened = self.opened(tenant, record).fields;
        receipt
    }

    /// Records `from` to `to` of a tenant's log, in blocks of at most `block`.
    pub(crate) fn export(&self, tenant: usize, from: u64, to: u64, block: usize) -> Vec<u8> {
        let owner = &self.tenants[tenant];
        let size = owner.head.as_ref().unwrap().size;
        let frontier = owner.log.prove(Ask::Frontier { size: from - 1 });
        let first = Seq::try_from(from).unwrap();
        let (mut writer, mut bytes) =
            ExportWriter::start(first, to, frontier, self.evidence(tenant)).unwrap();
        let records =
            &owner.records[usize::try_from(from - 1).unwrap()..usize::try_from(to).unwrap()];
        let mut seq = from;
        for block in records.chunks(block) {
            let end = seq - 1 + block.len() as u64;
            let hashes = owner.log.prove(Ask::Leaves {
                from: seq - 1,
                to: end,
            });
            let proof = owner.log.prove(Ask::Consistency { old: end, size });
            bytes.extend(writer.block(hashes, proof).unwrap());
            for record in block {
                let at = Seq::try_from(seq).unwrap();
                let opened = self.opened(tenant, record);
                bytes.extend(writer.record(at, record.leaf.clone(), opened).unwrap());
                seq += 1;
            }
        }
        bytes.extend(writer.finish(&self.signers).unwrap());
        bytes
    }
}
