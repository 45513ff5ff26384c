//! The pieces that schemas are built of.

use serde_json::{Map, Value, json};

/// A schema with its definitions.
pub(super) struct Schema {
    title: &'static str,
    root: Mapping,
    definitions: Vec<(&'static str, Definition)>,
}

enum Definition {
    Mapping(Mapping),
    Value(Value),
}

/// A mapping with keys of the language.
pub(super) struct Mapping {
    /// What the readers call it in messages; it may have several names.
    #[cfg_attr(not(test), expect(dead_code, reason = "by it tests hold the schema against the readers"))]
    pub(super) read_as: &'static [&'static str],
    pub(super) keys: Vec<Key>,
    about: &'static str,
    /// Further conditions, as they stand in the schema.
    further: Map<String, Value>,
}

/// A key of a mapping.
pub(super) struct Key {
    pub(super) name: &'static str,
    schema: Map<String, Value>,
    required: bool,
}

/// A key with what its value is and a sentence on what it is for.
pub(super) fn key(name: &'static str, value: Value, about: &str) -> Key {
    let mut schema = value.as_object().cloned().unwrap_or_default();
    schema.insert("description".into(), about.into());
    Key { name, schema, required: false }
}

impl Key {
    /// It must be there.
    pub(super) fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// The same, for a key in place.
    pub(super) fn require(&mut self) {
        self.required = true;
    }

    /// What the value is where the key is not written.
    pub(super) fn default(mut self, value: impl Into<Value>) -> Self {
        self.schema.insert("default".into(), value.into());
        self
    }

    /// A value as one may write it.
    pub(super) fn example(mut self, value: impl Into<Value>) -> Self {
        let examples = self.schema.entry("examples").or_insert_with(|| json!([]));
        if let Value::Array(examples) = examples {
            examples.push(value.into());
        }
        self
    }
}

impl Mapping {
    pub(super) fn new(read_as: &'static [&'static str], about: &'static str, keys: Vec<Key>) -> Self {
        Self { read_as, about, keys, further: Map::new() }
    }

    /// One of these keys, or more of them, must be there.
    pub(super) fn any_of(self, keys: &[&str]) -> Self {
        let choices: Vec<Value> = keys.iter().map(|key| json!({ "required": [key] })).collect();
        self.with("anyOf", choices.into())
    }

    /// Exactly one of these keys must be there.
    pub(super) fn one_of(self, keys: &[&str]) -> Self {
        let choices: Vec<Value> = keys.iter().map(|key| json!({ "required": [key] })).collect();
        self.with("oneOf", choices.into())
    }

    /// Each of `keys` needs one of `others` beside it.
    pub(super) fn only_beside(self, keys: &[&str], others: &[&str]) -> Self {
        let choices: Vec<Value> = others.iter().map(|other| json!({ "required": [other] })).collect();
        let each = keys.iter().map(|key| ((*key).to_owned(), json!({ "anyOf": choices }))).collect::<Map<_, _>>();
        self.with("dependentSchemas", each.into())
    }

    /// The two keys exclude each other.
    pub(super) fn not_both(self, one: &str, other: &str) -> Self {
        self.with("not", json!({ "required": [one, other] }))
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.further.insert(name.to_owned(), value);
        self
    }

    fn to_json(&self) -> Map<String, Value> {
        let mut schema = Map::new();
        schema.insert("type".into(), "object".into());
        schema.insert("description".into(), self.about.into());
        let properties: Map<String, Value> =
            self.keys.iter().map(|key| (key.name.to_owned(), Value::Object(key.schema.clone()))).collect();
        schema.insert("properties".into(), properties.into());
        let required: Vec<&str> = self.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
        if required.is_empty() {
            // An empty mapping says nothing, and so something was forgotten.
            schema.insert("minProperties".into(), 1.into());
        } else {
            schema.insert("required".into(), json!(required));
        }
        schema.insert("additionalProperties".into(), false.into());
        schema.extend(self.further.clone());
        schema
    }
}

impl Schema {
    pub(super) fn new(title: &'static str, root: Mapping) -> Self {
        Self { title, root, definitions: Vec::new() }
    }

    /// Defines a mapping under a name to refer to.
    pub(super) fn mapping(&mut self, name: &'static str, mapping: Mapping) {
        self.definitions.push((name, Definition::Mapping(mapping)));
    }

    /// Defines any other value.
    pub(super) fn value(&mut self, name: &'static str, value: Value) {
        self.definitions.push((name, Definition::Value(value)));
    }

    /// Every mapping, the root first.
    #[cfg(test)]
    pub(super) fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        let defined = self.definitions.iter().filter_map(|(_, definition)| match definition {
            Definition::Mapping(mapping) => Some(mapping),
            Definition::Value(_) => None,
        });
        std::iter::once(&self.root).chain(defined)
    }

    pub(super) fn to_json(&self) -> Value {
        let mut schema = Map::new();
        schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        schema.insert("title".into(), self.title.into());
        schema.extend(self.root.to_json());
        let definitions: Map<String, Value> = self
            .definitions
            .iter()
            .map(|(name, definition)| {
                let value = match definition {
                    Definition::Mapping(mapping) => Value::Object(mapping.to_json()),
                    Definition::Value(value) => value.clone(),
                };
                ((*name).to_owned(), value)
            })
            .collect();
        schema.insert("$defs".into(), definitions.into());
        Value::Object(schema)
    }
}

/// What is defined under a name.
pub(super) fn defined(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// One of some words.
pub(super) fn words<'w>(words: impl IntoIterator<Item = &'w str>) -> Value {
    json!({ "enum": words.into_iter().collect::<Vec<_>>() })
}

/// A list with at least one element.
pub(super) fn list(items: Value, max: usize) -> Value {
    json!({ "type": "array", "items": items, "minItems": 1, "maxItems": max })
}

/// A list that may be empty.
pub(super) fn list_or_empty(items: Value, max: usize) -> Value {
    json!({ "type": "array", "items": items, "maxItems": max })
}

/// A mapping whose keys are names of the author's choosing.
pub(super) fn named(values: Value, max: usize) -> Value {
    json!({ "type": "object", "additionalProperties": values, "minProperties": 1, "maxProperties": max })
}

/// Whole numbers in a range.
pub(super) fn whole(least: i64, most: i64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

/// A count from one on.
pub(super) fn count() -> Value {
    whole(1, i64::from(u32::MAX))
}

/// True or false.
pub(super) fn flag() -> Value {
    json!({ "type": "boolean" })
}
