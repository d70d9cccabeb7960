//! What a server offers: one item, and all of them at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::Problem;
use super::model::Icon;
use super::prompt::{Prompt, ReadyPrompt};
use super::resource::{ReadyResource, ReadyTemplate, Resource, Template};
use super::tool::{ReadyTool, Tool};
use crate::catalogue::{Definition, Offer};
use crate::protocol::{Kind, ResultObject};

/// What every item tells about itself, beside its name.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) icons: Vec<Icon>,
    #[serde(rename = "_meta", skip_serializing_if = "Map::is_empty")]
    pub(super) meta: Map<String, Value>,
}

/// The methods of a builder that has an `about: About`.
macro_rules! tells_about_itself {
    () => {
        /// Sets the name that people see.
        #[must_use]
        pub fn title(mut self, title: impl Into<String>) -> Self {
            self.about.title = Some(title.into());
            self
        }

        /// Sets what it is good for, in a sentence or more.
        #[must_use]
        pub fn description(mut self, description: impl Into<String>) -> Self {
            self.about.description = Some(description.into());
            self
        }

        /// Adds a picture; its URL begins with `https:` or `data:`.
        #[must_use]
        pub fn icon(mut self, icon: $crate::provider::native::model::Icon) -> Self {
            self.about.icons.push(icon);
            self
        }

        /// Adds a member of `_meta`; the key has a prefix, such as `org.example/key`.
        #[must_use]
        pub fn meta(mut self, key: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
            self.about.meta.insert(key.into(), value.into());
            self
        }
    };
}
pub(super) use tells_about_itself;

/// The definition as the protocol writes it.
pub(super) fn definition<T: Serialize>(name: &str, members: &T) -> Result<Definition, String> {
    let members = ResultObject::of(members).map_err(|error| error.message)?;
    Ok(Definition { name: name.to_owned(), members })
}

/// One thing that a server offers.
pub enum Item {
    /// A tool.
    Tool(Tool),
    /// A prompt.
    Prompt(Prompt),
    /// A resource.
    Resource(Resource),
    /// A pattern of resources.
    Template(Template),
}

impl From<Tool> for Item {
    fn from(tool: Tool) -> Self {
        Self::Tool(tool)
    }
}

impl From<Prompt> for Item {
    fn from(prompt: Prompt) -> Self {
        Self::Prompt(prompt)
    }
}

impl From<Resource> for Item {
    fn from(resource: Resource) -> Self {
        Self::Resource(resource)
    }
}

impl From<Template> for Item {
    fn from(template: Template) -> Self {
        Self::Template(template)
    }
}

impl Item {
    /// Checks and compiles it.
    pub(super) fn ready(self) -> Result<Ready, Problem> {
        let item = self.told();
        let ready = match self {
            Self::Tool(tool) => tool.ready().map(Ready::Tool),
            Self::Prompt(prompt) => prompt.ready().map(Ready::Prompt),
            Self::Resource(resource) => resource.ready().map(Ready::Resource),
            Self::Template(template) => template.ready().map(Ready::Template),
        };
        ready.map_err(|what| Problem { item, what })
    }

    /// What it is, and its name.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Tool(tool) => format!("tool `{}`", tool.name()),
            Self::Prompt(prompt) => format!("prompt `{}`", prompt.name()),
            Self::Resource(resource) => format!("resource `{}`", resource.uri()),
            Self::Template(template) => format!("template `{}`", template.text()),
        }
    }
}

/// One item that can be served.
#[derive(Clone)]
pub(super) enum Ready {
    Tool(Arc<ReadyTool>),
    Prompt(Arc<ReadyPrompt>),
    Resource(Arc<ReadyResource>),
    Template(Arc<ReadyTemplate>),
}

impl Ready {
    pub(super) fn name(&self) -> &str {
        let definition = match self {
            Self::Tool(tool) => &tool.definition,
            Self::Prompt(prompt) => &prompt.definition,
            Self::Resource(resource) => &resource.definition,
            Self::Template(template) => &template.definition,
        };
        &definition.name
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Tool(_) => Kind::Tools,
            Self::Prompt(_) => Kind::Prompts,
            Self::Resource(_) => Kind::Resources,
            Self::Template(_) => Kind::Templates,
        }
    }
}

/// All that a server offers at one moment, by names.
#[derive(Clone, Default)]
pub(super) struct Items {
    pub(super) tools: BTreeMap<String, Arc<ReadyTool>>,
    pub(super) prompts: BTreeMap<String, Arc<ReadyPrompt>>,
    pub(super) resources: BTreeMap<String, Arc<ReadyResource>>,
    pub(super) templates: BTreeMap<String, Arc<ReadyTemplate>>,
}

impl Items {
    /// Adds an item; gives back whether there was one of this kind and name, which is gone now.
    pub(super) fn insert(&mut self, item: Ready) -> bool {
        let name = item.name().to_owned();
        match item {
            Ready::Tool(tool) => self.tools.insert(name, tool).is_some(),
            Ready::Prompt(prompt) => self.prompts.insert(name, prompt).is_some(),
            Ready::Resource(resource) => self.resources.insert(name, resource).is_some(),
            Ready::Template(template) => self.templates.insert(name, template).is_some(),
        }
    }

    /// Takes an item away; gives back whether there was one.
    pub(super) fn remove(&mut self, kind: Kind, name: &str) -> bool {
        match kind {
            Kind::Tools => self.tools.remove(name).is_some(),
            Kind::Prompts => self.prompts.remove(name).is_some(),
            Kind::Resources => self.resources.remove(name).is_some(),
            Kind::Templates => self.templates.remove(name).is_some(),
        }
    }

    /// What the node announces.
    pub(super) fn offer(&self, instructions: Option<String>) -> Offer {
        Offer {
            tools: self.tools.values().map(|tool| tool.definition.clone()).collect(),
            prompts: self.prompts.values().map(|prompt| prompt.definition.clone()).collect(),
            resources: self.resources.values().map(|r| r.definition.clone()).collect(),
            templates: self.templates.values().map(|t| t.definition.clone()).collect(),
            instructions,
        }
    }
}
