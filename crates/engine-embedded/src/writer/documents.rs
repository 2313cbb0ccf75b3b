//! Applying a batch of document writes inside the group's transaction.
//!
//! **Invariant:** all expectations are checked before the first write, so a
//! refused batch has written nothing and needs no savepoint.

use identity::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use store::{Batch, DocKey, Expect, Partition, Version, Write};

use crate::{error::Fault, generations::Generations, schema};

/// Memory for known partitions, in bytes.
const PARTITIONS_BYTES: usize = 8 * 1024 * 1024;
/// Rough bytes of one.
const PARTITION_BYTES: usize = 160;
/// Versions that are reserved in the file at once, so that a restart skips
/// what was reserved instead of giving it out again.
const VERSIONS_RESERVED: u64 = 1 << 20;

pub(crate) struct DocumentWriter {
    partitions: Generations<Partition, i64>,
    next_version: u64,
    version_ceiling: u64,
}

impl DocumentWriter {
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let ceiling = schema::meta(connection, "version_ceiling")?.unwrap_or(0);
        Ok(Self {
            partitions: Generations::new(PARTITIONS_BYTES),
            next_version: ceiling.cast_unsigned(),
            version_ceiling: ceiling.cast_unsigned(),
        })
    }

    /// Applies `batch`, or names the first key that is not as expected.
    pub(crate) fn apply(
        &mut self,
        connection: &Connection,
        batch: &Batch,
        now: Timestamp,
    ) -> Result<Result<Version, DocKey>, Fault> {
        for (key, expected) in batch.expectations() {
            let found = self.version(connection, key, now)?;
            let holds = match expected {
                Expect::Absent => found.is_none(),
                Expect::Version(version) => found == Some(*version),
            };
            if !holds {
                return Ok(Err(key.clone()));
            }
        }
        let version = self.next_version(connection)?;
        for (key, write) in batch.writes() {
            self.write(connection, key, write, version)?;
        }
        Ok(Ok(version))
    }

    /// The group was committed.
    pub(crate) fn settle(&mut self) {
        self.partitions.turn();
    }

    /// The group failed: nothing that it wrote is there.
    pub(crate) fn forget(&mut self) {
        self.partitions.clear();
        self.version_ceiling = self.next_version;
    }

    fn version(
        &mut self,
        connection: &Connection,
        key: &DocKey,
        now: Timestamp,
    ) -> Result<Option<Version>, Fault> {
        let Some(partition) = self.partition(connection, &key.partition)? else {
            return Ok(None);
        };
        let found = connection
            .prepare_cached(
                "SELECT version FROM documents WHERE partition = ?1 AND id = ?2
                 AND (expires_at IS NULL OR expires_at > ?3)",
            )?
            .query_row((partition, &key.id, now.unix_ms()), |row| {
                row.get::<_, i64>(0)
            })
            .optional()?;
        Ok(found.map(|version| Version(version.cast_unsigned())))
    }

    fn write(
        &mut self,
        connection: &Connection,
        key: &DocKey,
        write: &Write,
        version: Version,
    ) -> Result<(), Fault> {
        match write {
            Write::Put { value, expires_at } => {
                let partition = self.partition_or_new(connection, &key.partition)?;
                let ends = expires_at.map(Timestamp::unix_ms);
                let version = version.0.cast_signed();
                connection
                    .prepare_cached("REPLACE INTO documents VALUES (?1, ?2, ?3, ?4, ?5)")?
                    .execute((partition, &key.id, version, ends, value.as_ref()))?;
            }
            Write::Delete => {
                if let Some(partition) = self.partition(connection, &key.partition)? {
                    connection
                        .prepare_cached("DELETE FROM documents WHERE partition = ?1 AND id = ?2")?
                        .execute((partition, &key.id))?;
                }
            }
        }
        Ok(())
    }

    fn next_version(&mut self, connection: &Connection) -> Result<Version, Fault> {
        if self.next_version >= self.version_ceiling {
            let ceiling = self.next_version + VERSIONS_RESERVED;
            schema::set_meta(connection, "version_ceiling", ceiling.cast_signed())?;
            self.version_ceiling = ceiling;
        }
        self.next_version += 1;
        Ok(Version(self.next_version))
    }

    fn partition(
        &mut self,
        connection: &Connection,
        partition: &Partition,
    ) -> Result<Option<i64>, Fault> {
        if self.partitions.touch(partition, |_| PARTITION_BYTES) {
            return Ok(self.partitions.young(partition).copied());
        }
        let known = connection
            .prepare_cached("SELECT id FROM partitions WHERE name = ?1")?
            .query_row([partition.as_str()], |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            self.partitions.put(partition.clone(), id, PARTITION_BYTES);
        }
        Ok(known)
    }

    fn partition_or_new(
        &mut self,
        connection: &Connection,
        partition: &Partition,
    ) -> Result<i64, Fault> {
        if let Some(id) = self.partition(connection, partition)? {
            return Ok(id);
        }
        connection
            .prepare_cached("INSERT INTO partitions (name) VALUES (?1)")?
            .execute([partition.as_str()])?;
        let id = connection.last_insert_rowid();
        self.partitions.put(partition.clone(), id, PARTITION_BYTES);
        Ok(id)
    }
}
