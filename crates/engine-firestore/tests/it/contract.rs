//! Every law of the port.

store::documents_contract!(crate::subject::open);
