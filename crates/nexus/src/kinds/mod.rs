//! What each kind of record says, and what it may hold.

mod analytics;
mod atom;
mod maybe;
mod memory;
mod pack;
mod page_content;
mod publication;
mod run;
mod seo;
mod settings;

pub use analytics::{
    AnalyticsEvent, AppendAnalyticsEvents, Appended, ChangeAnalyticsEvent, Consent,
    DeleteAnalyticsEvent, EVENTS_MAX, EventBody, ReadAnalyticsEvents,
};
pub use atom::{Atom, CreateAtom, DeleteAtom, ReadAtoms, UpdateAtom, VectorRef};
pub use maybe::{CreateMaybe, DeleteMaybe, Maybe, ReadMaybes, UpdateMaybe};
pub use memory::{CreateMemory, DeleteMemory, Memory, MemoryBody, ReadMemory, UpdateMemory};
pub use pack::{CreatePack, DeletePack, Pack, PackItem, ReadPacks, UpdatePack};
pub use page_content::{
    CreatePageContent, DeletePageContent, PageContent, PublishPageContent, ReadPageContent,
    UpdatePageContent,
};
pub use publication::{Edition, Publication, Publishable};
pub use run::{
    CreateRun, DeleteRun, Failure, ReadRuns, Run, RunBody, RunStatus, Step, StepBody, UpdateRun,
};
pub use seo::{CreateSeo, DeleteSeo, OpenGraph, PublishSeo, ReadSeo, Robots, Seo, UpdateSeo};
pub use settings::{
    CreateSettings, DeleteSettings, EffectiveSettings, ReadSettings, Settings, SettingsBody,
    UpdateSettings,
};
#[cfg(feature = "http")]
pub(crate) use {memory::check_session, publication::check_page};
