//! The OpenAPI document, made of the table and of the types that the answers are made of.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use warp::http::StatusCode;
use warp::reply::Response;

use super::answer::{ErrorBody, with};
use super::table::{self, Answers, Endpoint, Method, Needs};

/// A duration up to years, as far as a pattern can tell.
const DURATION: &str = "^([1-9][0-9]{0,5}(ms|s|m)|[1-9][0-9]{0,3}h|[1-9][0-9]{0,2}d)?$";
/// One of 31 days at most.
const SPAN: &str = "^([1-9][0-9]{0,5}(ms|s)|[1-9][0-9]{0,3}m|[1-9][0-9]?h|[1-6][0-9]{2}h|([1-9]|[12][0-9]|3[01])d)?$";

/// Answers with the document.
pub(super) async fn serve() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());
    with(StatusCode::OK, "application/json", TEXT.as_bytes())
}

/// The document. OpenAPI 3.1 takes schemas as JSON Schema 2020-12, which is what the types give.
pub(super) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let error = generator.subschema_for::<ErrorBody>();
    let mut paths = Map::new();
    for endpoint in table::all() {
        let operation = operation(endpoint, &mut generator, error.as_value());
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(endpoint.method.name().into(), operation);
        }
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Stanch",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The admin interface of the auto-remediation rule engine.",
            "description": "Times are milliseconds since the Unix epoch. Numbers of the journal grow with time.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "token": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`admin.token`, or `admin.read_token` for what does not act. None on the unix socket.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": super::access::SESSION_COOKIE,
                    "description": "A session of the console. It reads the API; it acts through the console's forms.",
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint, generator: &mut schemars::SchemaGenerator, error: &Value) -> Value {
    let (content_type, schema) = match endpoint.answers {
        Answers::Json(shape) => ("application/json", shape(generator).to_value()),
        Answers::Other("application/json") => ("application/json", json!({ "type": "object" })),
        Answers::Other(other) => (other, json!({ "type": "string" })),
    };
    let mut responses = Map::new();
    responses.insert("200".into(), json!({ "description": "done", "content": { content_type: { "schema": schema } } }));
    let mut errors = vec![401, 429, 500];
    errors.extend(endpoint.errors);
    if endpoint.method == Method::Post {
        errors.extend([400, 403, 408, 413, 415, 503]);
    }
    errors.sort_unstable();
    errors.dedup();
    for status in errors {
        let about = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("error");
        let content = json!({ "application/json": { "schema": error } });
        responses.insert(status.to_string(), json!({ "description": about, "content": content }));
    }
    let in_path = endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(endpoint.query.iter().map(|parameter| {
        // Empty is not given, as for a field of a form.
        let schema = match parameter.kind {
            "integer" => json!({ "type": "integer", "minimum": 0, "maximum": super::request::WHOLE_MAX }),
            "duration" => json!({ "type": "string", "pattern": DURATION }),
            "span" => json!({ "type": "string", "pattern": SPAN }),
            "head" => json!({ "type": "string", "pattern": "^([0-9]{1,15}:[0-9a-f]{64})?$" }),
            "approvals" => json!({ "type": "string", "enum": ["granted", "never", ""] }),
            kind => json!({ "type": kind }),
        };
        json!({ "name": parameter.name, "in": "query", "description": parameter.about, "schema": schema })
    }));
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.about,
        "parameters": parameters,
        "responses": responses,
        "x-needs": if endpoint.needs == Needs::Act { "act" } else { "read" },
    });
    if let (Some(shape), Some(fields)) = (endpoint.body, operation.as_object_mut()) {
        let content = json!({ "application/json": { "schema": shape(generator).to_value() } });
        // What is asked for has defaults, but there is no push by default.
        let is_required = endpoint.path == "/api/v1/explain";
        fields.insert("requestBody".into(), json!({ "required": is_required, "content": content }));
    }
    operation
}

/// `get-events-id-explain`.
fn operation_id(endpoint: &Endpoint) -> String {
    let path = endpoint.path.trim_start_matches("/api/v1").replace(['{', '}'], "").replace('.', "-");
    format!("{}{}", endpoint.method.name(), path.replace('/', "-"))
}
