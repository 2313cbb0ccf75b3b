//! What is counted of an engine: every call, and as failures its own alone.

use std::sync::Arc;

use identity::Env;
use metrics_exporter_prometheus::PrometheusBuilder;
use store::{Batch, CommitError, DocKey, Documents, Partition, observed};
use tenantry_testkit::{Faulty, MemoryDocuments, World};

#[tokio::test]
async fn conflicts_are_answers_and_outages_are_failures() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    let world = World::new();
    let scope = world.scope("t_one", Env::Dev, "u_1").await;
    let key = DocKey::new(&Partition::in_scope(&scope, "kind"), "a");
    let faulty = Arc::new(Faulty::new(MemoryDocuments::new(world.clock.clone())));
    let engine: Arc<dyn Documents> = faulty.clone();
    let observed =
        metrics::with_local_recorder(&recorder, || observed::documents(engine, "memory"));

    let put = || Batch::new().expect_absent(&key).put(&key, "x");
    observed.commit(put()).await.expect("it was absent");
    let again = observed.commit(put()).await;
    assert!(matches!(again, Err(CommitError::Conflict(_))));
    faulty.set_down(true);
    assert!(matches!(
        observed.commit(put()).await,
        Err(CommitError::Store(_))
    ));
    assert!(observed.get(&key).await.is_err());

    let page = page.render();
    let labels =
        |operation| format!("{{engine=\"memory\",port=\"documents\",operation=\"{operation}\"");
    for (operation, calls, failures) in [("commit", 3, 1), ("get", 1, 1), ("list", 0, 0)] {
        let labels = labels(operation);
        let counted = format!("tenantry_store_seconds_count{labels}}} {calls}");
        assert!(page.contains(&counted) || calls == 0, "{counted} in {page}");
        let failed =
            format!("tenantry_store_errors_total{labels},kind=\"unavailable\"}} {failures}");
        assert!(page.contains(&failed), "{failed} in {page}");
    }
    assert!(!page.contains("t_one"), "{page}");
}
