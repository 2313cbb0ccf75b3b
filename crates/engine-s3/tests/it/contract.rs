//! Every law of the port.

store::blobs_contract!(crate::subject::open);
