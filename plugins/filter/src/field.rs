//! A field as ReedQL: what it holds, and of which type that is.
//!
//! | | value | type |
//! |---|---|---|
//! | a column | itself | `typeof`, and what the schema says: 1 in a column of booleans is true |
//! | a decimal | the number that it is written as | a number, if it is written as one |
//! | a path into a document | `->>` | `json_type`; NULL where there is none, or no document |

use reedbase_plugin_api::{ColumnType, Schema};

/// A field.
pub(crate) struct Field {
    /// The column, in quotes.
    column: String,
    kind: Kind,
}

enum Kind {
    Plain,
    Boolean,
    Decimal,
    /// With the path into the document, as SQLite writes it.
    Document(String),
}

/// A type of JSON, as far as values of it can be compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Number,
    Text,
}

/// A name in quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Field {
    /// The field of this name: the column, or else a path into the column that its first part names.
    pub(crate) fn of(name: &str, schema: &Schema) -> Self {
        let column = |name: &str| {
            schema.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
        };
        if let Some(column) = column(name) {
            let kind = match column.kind {
                ColumnType::Boolean => Kind::Boolean,
                ColumnType::Decimal => Kind::Decimal,
                ColumnType::Json => Kind::Document("$".to_owned()),
                _ => Kind::Plain,
            };
            return Self { column: quoted(&column.name), kind };
        }
        match name.split_once('.') {
            Some((first, path)) => {
                let kind = Kind::Document(document_path(path));
                Self { column: quoted(column(first).map_or(first, |column| &column.name)), kind }
            }
            // ReedQL says that there is none, and which one may be meant.
            None => Self { column: quoted(name), kind: Kind::Plain },
        }
    }

    /// What it holds; a decimal as it is written.
    pub(crate) fn value(&self) -> String {
        match &self.kind {
            Kind::Document(path) => self.in_document(&format!("{} ->> '{path}'", self.column)),
            _ => self.column.clone(),
        }
    }

    /// The same where it is of this type: a decimal as a number.
    pub(crate) fn value_as(&self, kind: Type) -> String {
        match (&self.kind, kind) {
            (Kind::Decimal, Type::Number) => format!("CAST({} AS REAL)", self.column),
            _ => self.value(),
        }
    }

    /// NULL where the column holds no document.
    fn in_document(&self, what: &str) -> String {
        format!("CASE WHEN json_valid({}) THEN {what} END", self.column)
    }

    fn json_type(&self, path: &str) -> String {
        self.in_document(&format!("json_type({}, '{path}')", self.column))
    }

    /// Whether it is of this type: 0 or 1.
    pub(crate) fn is(&self, kind: Type) -> String {
        let column = &self.column;
        let numbers = format!("typeof({column}) IN ('integer', 'real')");
        match (&self.kind, kind) {
            (Kind::Plain, Type::Number) => numbers,
            (Kind::Plain | Kind::Boolean, Type::Text) => format!("typeof({column}) = 'text'"),
            (Kind::Boolean, Type::Number) => "0".to_owned(),
            (Kind::Decimal, Type::Number) => format!(
                "({numbers} OR (typeof({column}) = 'text' AND {column} GLOB '*[0-9]*' \
                 AND {column} NOT GLOB '*[^-+.0-9eE]*'))"
            ),
            (Kind::Decimal, Type::Text) => {
                format!("(typeof({column}) = 'text' AND NOT {})", self.is(Type::Number))
            }
            (Kind::Document(path), Type::Number) => {
                format!("ifnull({} IN ('integer', 'real'), 0)", self.json_type(path))
            }
            (Kind::Document(path), Type::Text) => {
                format!("({} IS 'text')", self.json_type(path))
            }
        }
    }

    /// Whether it is true, or false.
    pub(crate) fn is_boolean(&self, value: bool) -> String {
        match &self.kind {
            Kind::Boolean => {
                let (column, value) = (&self.column, u8::from(value));
                format!("(typeof({column}) = 'integer' AND {column} = {value})")
            }
            Kind::Document(path) => format!("({} IS '{value}')", self.json_type(path)),
            _ => "0".to_owned(),
        }
    }

    /// Whether it is null, and not missing.
    pub(crate) fn is_null(&self) -> String {
        match &self.kind {
            Kind::Document(path) if path != "$" => format!("({} IS 'null')", self.json_type(path)),
            Kind::Document(path) => {
                format!("({} IS NULL OR {} IS 'null')", self.column, self.json_type(path))
            }
            _ => format!("({} IS NULL)", self.column),
        }
    }

    /// Whether there is a value, which is not null.
    pub(crate) fn exists(&self) -> String {
        match &self.kind {
            Kind::Document(path) => format!("(ifnull({}, 'null') <> 'null')", self.json_type(path)),
            _ => format!("({} IS NOT NULL)", self.column),
        }
    }

    /// Whether it is a list or an object that is written as the parameter.
    pub(crate) fn is_document(&self) -> String {
        match &self.kind {
            Kind::Document(path) => {
                let same = format!("json({} -> '{path}') = json(?)", self.column);
                format!("ifnull({}, 0)", self.in_document(&same))
            }
            _ => "0".to_owned(),
        }
    }

    /// What makes a list of its elements, under the name `e`; `None` where it can be no list.
    pub(crate) fn elements(&self) -> Option<String> {
        match &self.kind {
            Kind::Document(path) => {
                let column = &self.column;
                let list = format!(
                    "CASE WHEN json_valid({column}) AND json_type({column}, '{path}') = 'array' \
                                    THEN {column} -> '{path}' ELSE '[]' END"
                );
                Some(format!("json_each({list}) AS e"))
            }
            _ => None,
        }
    }

    /// What it holds, as JSON.
    pub(crate) fn json(&self) -> String {
        let column = &self.column;
        match &self.kind {
            Kind::Document(path) => self.in_document(&format!("json({column} -> '{path}')")),
            Kind::Boolean => format!(
                "CASE {column} WHEN 1 THEN json('true') WHEN 0 THEN json('false') ELSE json_quote({column}) END"
            ),
            _ => format!("json_quote({column})"),
        }
    }
}

/// `ports.0.name` as `$."ports"."0"."name"`; what consists of digits is a place in a list, or else a name.
fn document_path(path: &str) -> String {
    let mut out = "$".to_owned();
    for part in path.split('.') {
        let is_place = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        // SQLite's paths know no way to write a quote: such a name finds nothing.
        let name = part.replace('"', "").replace('\'', "''");
        out.push_str(&if is_place { format!("[{part}]") } else { format!(".\"{name}\"") });
    }
    out
}
