//! The fault injector fails exactly when told to.

use identity::Env;
use store::{Batch, CommitError, DocKey, Documents as _, Partition, StoreError};
use tenantry_testkit::{Faulty, MemoryDocuments, World};

#[tokio::test]
async fn calls_fail_when_told_to_and_change_nothing() {
    let world = World::new();
    let scope = world.scope("t_one", Env::Dev, "u_1").await;
    let key = DocKey::new(&Partition::in_scope(&scope, "kind"), "a");
    let faulty = Faulty::new(MemoryDocuments::new(world.clock.clone()));
    faulty.fail_next(1);
    let refused = faulty.commit(Batch::new().put(&key, "x")).await;
    assert!(matches!(
        refused,
        Err(CommitError::Store(StoreError::Unavailable(_)))
    ));
    assert_eq!(faulty.get(&key).await, Ok(None), "one call failed, no more");
    faulty.set_down(true);
    assert!(faulty.get(&key).await.is_err());
    assert!(faulty.get(&key).await.is_err());
    faulty.set_down(false);
    assert_eq!(faulty.get(&key).await, Ok(None));
}
