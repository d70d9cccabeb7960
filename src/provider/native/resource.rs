//! Resources: what can be read by its URI, one by one or by a pattern.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::completion::{Completers, Settled};
use super::content;
use super::context::Context;
use super::error::HandlerError;
use super::item::{About, definition, tells_about_itself};
use super::model::{Annotations, ResourceContents};
use super::schema;
use crate::catalogue::{self, Definition};
use crate::protocol::{ResultObject, RpcError};
use crate::provider::CallError;

/// Where contents belong, unless they say it themselves.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The URI that is read.
    pub uri: &'a str,
    /// The MIME type of the resource or template.
    pub mime: Option<&'a str>,
}

/// What a resource's handler may return: a text, bytes, or contents with URIs of their own; `None`
/// where there is no such resource.
pub trait IntoContents {
    /// The contents.
    ///
    /// # Errors
    /// Why there are none.
    fn into_contents(self, place: Place<'_>) -> Result<Vec<ResourceContents>, HandlerError>;
}

impl IntoContents for String {
    fn into_contents(self, place: Place<'_>) -> Result<Vec<ResourceContents>, HandlerError> {
        Ok(vec![content::text_of(place.uri, place.mime.unwrap_or("text/plain"), self)])
    }
}

impl IntoContents for &str {
    fn into_contents(self, place: Place<'_>) -> Result<Vec<ResourceContents>, HandlerError> {
        self.to_owned().into_contents(place)
    }
}

impl IntoContents for Vec<u8> {
    fn into_contents(self, place: Place<'_>) -> Result<Vec<ResourceContents>, HandlerError> {
        let mime = place.mime.unwrap_or("application/octet-stream");
        Ok(vec![content::bytes_of(place.uri, mime, self)])
    }
}

impl IntoContents for ResourceContents {
    fn into_contents(self, _: Place<'_>) -> Result<Vec<ResourceContents>, HandlerError> {
        Ok(vec![self])
    }
}

impl IntoContents for Vec<ResourceContents> {
    fn into_contents(self, _: Place<'_>) -> Result<Vec<ResourceContents>, HandlerError> {
        Ok(self)
    }
}

impl<T: IntoContents> IntoContents for Option<T> {
    fn into_contents(self, place: Place<'_>) -> Result<Vec<ResourceContents>, HandlerError> {
        self.ok_or_else(|| RpcError::resource_not_found(place.uri))?.into_contents(place)
    }
}

impl<T: IntoContents, E: Into<HandlerError>> IntoContents for Result<T, E> {
    fn into_contents(self, place: Place<'_>) -> Result<Vec<ResourceContents>, HandlerError> {
        self.map_err(Into::into)?.into_contents(place)
    }
}

/// What both kinds tell of their content.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Annotations>,
}

/// A resource or a template as the list tells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_template: Option<&'a str>,
    name: &'a str,
    #[serde(flatten)]
    about: &'a About,
    #[serde(flatten)]
    content: &'a Content,
}

type Ran = Result<Vec<ResourceContents>, HandlerError>;
type Read = Arc<dyn Fn(String, Context) -> BoxFuture<'static, Ran> + Send + Sync>;
type ReadBy =
    Arc<dyn Fn(String, BTreeMap<String, String>, Context) -> BoxFuture<'static, Ran> + Send + Sync>;

/// The methods of a builder that has a `content: Content`.
macro_rules! tells_about_its_content {
    () => {
        /// Sets the MIME type, such as `text/plain`.
        #[must_use]
        pub fn mime(mut self, mime: impl Into<String>) -> Self {
            self.content.mime_type = Some(mime.into());
            self
        }

        /// Sets whom it is for, how important it is, and when it changed.
        #[must_use]
        pub fn annotations(mut self, annotations: Annotations) -> Self {
            self.content.annotations = Some(annotations);
            self
        }
    };
}

/// A resource with its handler. [`Resource::builder`] makes one.
pub struct Resource {
    about: ResourceBuilder,
    read: Read,
}

/// A resource that has no handler yet.
#[derive(Clone, Default)]
pub struct ResourceBuilder {
    uri: String,
    name: String,
    about: About,
    content: Content,
}

impl Resource {
    /// Begins a resource.
    pub fn builder(uri: impl Into<String>, name: impl Into<String>) -> ResourceBuilder {
        ResourceBuilder { uri: uri.into(), name: name.into(), ..ResourceBuilder::default() }
    }

    pub(super) fn uri(&self) -> &str {
        &self.about.uri
    }

    pub(super) fn ready(self) -> Result<Arc<ReadyResource>, String> {
        let ResourceBuilder { uri, name, about, content } = &self.about;
        check_scheme(uri)?;
        let wire = Wire { uri: Some(uri), uri_template: None, name, about, content };
        let definition = definition(uri, &wire)?;
        Ok(Arc::new(ReadyResource { definition, read: self.read }))
    }
}

/// A URI begins with a scheme (RFC 3986, section 3.1).
fn check_scheme(uri: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    if scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(legal) {
        return Ok(());
    }
    Err("a URI begins with a scheme, such as `file:`".to_owned())
}

impl ResourceBuilder {
    tells_about_itself!();
    tells_about_its_content!();

    /// Sets its size in bytes.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.content.size = Some(bytes);
        self
    }

    /// Gives it its handler.
    pub fn handler<F, R>(self, handler: F) -> Resource
    where
        F: Fn(Context) -> R + Send + Sync + 'static,
        R: Future + Send + 'static,
        R::Output: IntoContents,
    {
        let (handler, mime) = (Arc::new(handler), self.content.mime_type.clone());
        let read: Read = Arc::new(move |uri, context| {
            let (handler, mime) = (Arc::clone(&handler), mime.clone());
            async move {
                let contents = handler(context).await;
                contents.into_contents(Place { uri: &uri, mime: mime.as_deref() })
            }
            .boxed()
        });
        Resource { about: self, read }
    }
}

/// A resource that can be read.
pub(super) struct ReadyResource {
    pub(super) definition: Definition,
    read: Read,
}

impl ReadyResource {
    /// Reads it.
    pub(super) async fn read(&self, context: Context) -> Result<ResultObject, CallError> {
        answer((self.read)(self.definition.name.clone(), context).await)
    }
}

/// A pattern of resources (RFC 6570) with its handler. [`Template::builder`] makes one.
pub struct Template {
    about: TemplateBuilder,
    schema: Value,
    read: ReadBy,
}

/// A template that has no handler yet.
#[derive(Clone, Default)]
pub struct TemplateBuilder {
    text: String,
    name: String,
    about: About,
    content: Content,
    completers: Completers,
}

impl Template {
    /// Begins a template, such as `demo://greeting/{name}`.
    pub fn builder(template: impl Into<String>, name: impl Into<String>) -> TemplateBuilder {
        TemplateBuilder { text: template.into(), name: name.into(), ..TemplateBuilder::default() }
    }

    pub(super) fn text(&self) -> &str {
        &self.about.text
    }

    pub(super) fn ready(self) -> Result<Arc<ReadyTemplate>, String> {
        let Self { about: TemplateBuilder { text, name, about, content, completers }, .. } = &self;
        check_scheme(text)?;
        let template = catalogue::Template::parse(text).map_err(|error| error.to_string())?;
        let properties = schema::properties(&self.schema);
        let variables = template.variables();
        let strange = properties.iter().find(|p| p.required && !variables.contains(&p.name));
        if let Some(property) = strange {
            return Err(format!("its handler wants `{}`, which it doesn't have", property.name));
        }
        if let Some(stray) = completers.stray(&variables) {
            return Err(format!("it completes `{stray}`, which it doesn't have"));
        }
        let wire = Wire { uri: None, uri_template: Some(text), name, about, content };
        let definition = definition(text, &wire)?;
        let completers = completers.clone();
        Ok(Arc::new(ReadyTemplate { definition, template, completers, read: self.read }))
    }
}

impl TemplateBuilder {
    tells_about_itself!();
    tells_about_its_content!();

    /// Suggests values of a variable; see [`PromptBuilder::complete`](super::PromptBuilder).
    #[must_use]
    pub fn complete<F, R>(mut self, variable: impl Into<String>, completer: F) -> Self
    where
        F: Fn(String, Settled) -> R + Send + Sync + 'static,
        R: Future<Output = Vec<String>> + Send + 'static,
    {
        self.completers.insert(variable, completer);
        self
    }

    /// Gives it its handler. The fields of `V` are the template's variables; where a URI's don't
    /// fit their types, there is no such resource.
    pub fn handler<V, F, R>(self, handler: F) -> Template
    where
        V: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(V, Context) -> R + Send + Sync + 'static,
        R: Future + Send + 'static,
        R::Output: IntoContents,
    {
        let (handler, schema) = (Arc::new(handler), schema::flat::<V>());
        let (types, mime) = (Arc::new(schema.clone()), self.content.mime_type.clone());
        let read: ReadBy = Arc::new(move |uri, variables, context| {
            let (handler, types) = (Arc::clone(&handler), Arc::clone(&types));
            let mime = mime.clone();
            async move {
                let variables: V = schema::from_texts(&types, variables)
                    .map_err(|_| RpcError::resource_not_found(&uri))?;
                let contents = handler(variables, context).await;
                contents.into_contents(Place { uri: &uri, mime: mime.as_deref() })
            }
            .boxed()
        });
        Template { about: self, schema, read }
    }
}

/// A template whose resources can be read.
pub(super) struct ReadyTemplate {
    pub(super) definition: Definition,
    template: catalogue::Template,
    pub(super) completers: Completers,
    read: ReadBy,
}

impl ReadyTemplate {
    /// The variables of a URI that fits.
    pub(super) fn matches(&self, uri: &str) -> Option<BTreeMap<String, String>> {
        self.template.matches(uri)
    }

    /// Reads the resource of these variables.
    pub(super) async fn read(
        &self,
        uri: String,
        variables: BTreeMap<String, String>,
        context: Context,
    ) -> Result<ResultObject, CallError> {
        answer((self.read)(uri, variables, context).await)
    }
}

fn answer(contents: Ran) -> Result<ResultObject, CallError> {
    #[derive(Serialize)]
    struct Wire {
        contents: Vec<ResourceContents>,
    }
    let contents = contents.map_err(HandlerError::for_call)?;
    ResultObject::of(&Wire { contents }).map_err(CallError::Failed)
}
