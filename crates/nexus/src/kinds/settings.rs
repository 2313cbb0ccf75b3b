//! Settings: values per surface and app, over the tenant's defaults.

use std::collections::BTreeMap;

use identity::{AppId, Scope, SurfaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Body, Invalid, Model, NexusError, Records, Reference, Referent, Writing,
    checks::{count, json, name},
};

const VALUES_MAX: usize = 200;
const KEY_BYTES_MAX: usize = 128;
const VALUES_BYTES_MAX: usize = 64 * 1024;

identity::action!(ReadSettings, "nexus.settings.read", Viewer);
identity::action!(CreateSettings, "nexus.settings.create", Admin);
identity::action!(UpdateSettings, "nexus.settings.update", Admin);
identity::action!(DeleteSettings, "nexus.settings.delete", Admin);

/// What a client writes of settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct SettingsBody {
    /// The surface that they are for; that of `X-Surface-Id` unless said. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub surface_id: Option<SurfaceId>,
    /// The app that they are for; that of `X-App-Id` unless said. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub app_id: Option<AppId>,
    /// At most 200, of 64 KiB in all; names are at most 128 of `A-Z a-z 0-9 . _ : -`.
    #[serde(default)]
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub values: Map<String, Value>,
}

/// The settings of one place.
///
/// Without a surface and an app they are the tenant's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Settings {
    /// The surface that they are for.
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub surface_id: Option<SurfaceId>,
    /// The app that they are for.
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub app_id: Option<AppId>,
    /// The values by name.
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub values: Map<String, Value>,
}

/// What holds for a surface and an app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct EffectiveSettings {
    /// The values by name.
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub values: Map<String, Value>,
    /// For each name the id of the settings that say so.
    pub sources: BTreeMap<String, String>,
}

impl Model for Settings {
    const KIND: &'static str = "settings";
    const ID_PREFIX: &'static str = "st";

    type Read = ReadSettings;
    type Create = CreateSettings;
    type Update = UpdateSettings;
    type Delete = DeleteSettings;
    type Body = SettingsBody;

    fn written(
        body: SettingsBody,
        before: Option<&Self>,
        writing: &Writing<'_>,
    ) -> Result<Self, Invalid> {
        let here = writing.scope.context();
        let (surface, app) = match before {
            Some(before) => (&before.surface_id, &before.app_id),
            None => (&here.surface().cloned(), &here.app().cloned()),
        };
        let (surface_id, app_id) = (
            body.surface_id.or_else(|| surface.clone()),
            body.app_id.or_else(|| app.clone()),
        );
        if before.is_some() && surface_id != *surface {
            return Err(Invalid::new("/surface_id", "never changes"));
        }
        if before.is_some() && app_id != *app {
            return Err(Invalid::new("/app_id", "never changes"));
        }
        Ok(Self {
            surface_id,
            app_id,
            values: body.values,
        })
    }

    fn body(&self) -> SettingsBody {
        SettingsBody {
            surface_id: self.surface_id.clone(),
            app_id: self.app_id.clone(),
            values: self.values.clone(),
        }
    }

    fn references(&self) -> Vec<Reference<'_>> {
        let surface = self.surface_id.as_ref().map(|surface| Reference {
            pointer: "/surface_id".to_owned(),
            to: Referent::Surface(surface),
        });
        let app = self.app_id.as_ref().map(|app| Reference {
            pointer: "/app_id".to_owned(),
            to: Referent::App(app),
        });
        surface.into_iter().chain(app).collect()
    }

    fn slot(&self) -> Option<String> {
        Some(place(self.surface_id.as_ref(), self.app_id.as_ref()))
    }
}

/// Ids have no `/`, and none is `-`.
fn place(surface: Option<&SurfaceId>, app: Option<&AppId>) -> String {
    let (surface, app) = (surface.map(SurfaceId::as_str), app.map(AppId::as_str));
    format!("{}/{}", surface.unwrap_or("-"), app.unwrap_or("-"))
}

impl Body for SettingsBody {
    fn check(&self) -> Result<(), Invalid> {
        count("/values", self.values.len(), VALUES_MAX)?;
        let mut keys = self.values.keys();
        keys.try_for_each(|key| name("/values", key, KEY_BYTES_MAX))?;
        json("/values", &self.values, VALUES_BYTES_MAX)
    }
}

impl Records<Settings> {
    /// What holds for a surface and an app: each value is that of the nearest settings that
    /// have it. The nearest are those of both, then the surface's, then the app's, then the
    /// tenant's defaults. Values are whole: objects are not merged.
    ///
    /// # Errors
    /// [`NexusError::Store`].
    pub async fn effective(
        &self,
        scope: &Scope,
        surface: Option<&SurfaceId>,
        app: Option<&AppId>,
    ) -> Result<EffectiveSettings, NexusError> {
        let mut places = vec![place(None, None)];
        places.extend(app.map(|app| place(None, Some(app))));
        places.extend(surface.map(|surface| place(Some(surface), None)));
        places.extend(
            surface
                .zip(app)
                .map(|(surface, app)| place(Some(surface), Some(app))),
        );
        let mut effective = EffectiveSettings::default();
        for place in places {
            let Some(settings) = self.find_in_slot(scope, &place).await? else {
                continue;
            };
            for (name, value) in settings.value.values {
                let source = settings.id.to_string();
                effective.sources.insert(name.clone(), source);
                effective.values.insert(name, value);
            }
        }
        Ok(effective)
    }
}
