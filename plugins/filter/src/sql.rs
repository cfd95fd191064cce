//! From a question to ReedQL: names in quotes, values as parameters.

use reedbase_plugin_api::{Error, Params, Result, Schema, Translated, Value};
use serde_json::Value as Json;

use crate::field::{Field, Type, quoted};
use crate::query::{Aggregate, Comparison, Filter, Order, Query};

/// ReedQL, as far as it is made.
struct Making<'a> {
    schema: &'a Schema,
    params: Vec<Value>,
}

/// A question as ReedQL.
pub(crate) fn translated(query: &Query, table: &str, schema: &Schema) -> Result<Translated> {
    let mut making = Making { schema, params: Vec::new() };
    let mut text = format!("SELECT {} FROM {}", making.selected(query)?, quoted(table));
    if let Some(filter) = &query.filter {
        text.push_str(" WHERE ");
        text.push_str(&making.condition(filter)?);
    }
    if !query.group.is_empty() {
        let group: Vec<_> = query.group.iter().map(|name| making.field(name).value()).collect();
        text.push_str(&format!(" GROUP BY {}", group.join(", ")));
    }
    if !query.sort.is_empty() {
        let sort: Vec<_> = query.sort.iter().map(|by| making.sorted(query, by)).collect();
        text.push_str(&format!(" ORDER BY {}", sort.join(", ")));
    }
    if query.limit.is_some() || query.offset > 0 {
        let limit = query.limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(-1);
        making.params.push(Value::Integer(limit));
        making.params.push(Value::Integer(i64::try_from(query.offset).unwrap_or(i64::MAX)));
        text.push_str(" LIMIT ? OFFSET ?");
    }
    Ok(Translated { text, params: Params::from(making.params), ..Translated::default() })
}

impl Making<'_> {
    fn field(&self, name: &str) -> Field {
        Field::of(name, self.schema)
    }

    fn selected(&self, query: &Query) -> Result<String> {
        if query.group.is_empty() && query.aggregates.is_empty() {
            if query.fields.is_empty() {
                return Ok("*".to_owned());
            }
            return Ok(self.named(&query.fields).join(", "));
        }
        if !query.fields.is_empty() {
            return Err(Error::invalid("rows that are put together have no fields of their own")
                .help("leave out \"fields\": a group has what is grouped by, and its aggregates"));
        }
        let mut items = self.named(&query.group);
        for (name, aggregate) in &query.aggregates {
            items.push(format!("{} AS {}", self.aggregate(aggregate), quoted(name)));
        }
        Ok(items.join(", "))
    }

    fn named(&self, fields: &[String]) -> Vec<String> {
        let named = |name: &String| format!("{} AS {}", self.field(name).value(), quoted(name));
        fields.iter().map(named).collect()
    }

    fn aggregate(&self, aggregate: &Aggregate) -> String {
        let numbers = |name: &str| {
            let field = self.field(name);
            format!(
                "CASE WHEN {} THEN {} END",
                field.is(Type::Number),
                field.value_as(Type::Number)
            )
        };
        match aggregate {
            Aggregate::Count(None) => "count(*)".to_owned(),
            Aggregate::Count(Some(field)) => {
                format!("count(CASE WHEN {} THEN 1 END)", self.field(field).exists())
            }
            Aggregate::Sum(field) => format!("total({})", numbers(field)),
            Aggregate::Avg(field) => format!("avg({})", numbers(field)),
            Aggregate::Min(field) => format!("min({})", numbers(field)),
            Aggregate::Max(field) => format!("max({})", numbers(field)),
            Aggregate::Distinct(name) => {
                let json = self.field(name).json();
                format!("json_group_array(DISTINCT json({json})) FILTER (WHERE {json} IS NOT NULL)")
            }
        }
    }

    /// By a field, or by an aggregate under its name.
    fn sorted(&self, query: &Query, (name, order): &(String, Order)) -> String {
        let is_aggregate = query.aggregates.iter().any(|(known, _)| known == name);
        let by = if is_aggregate { quoted(name) } else { self.field(name).value() };
        let order = if *order == Order::Descending { "DESC" } else { "ASC" };
        format!("{by} {order}")
    }

    /// A condition that is 0 or 1, never NULL.
    fn condition(&mut self, filter: &Filter) -> Result<String> {
        Ok(match filter {
            Filter::Compare { field, by, value } => {
                let field = self.field(field);
                self.comparison(&field, *by, value)?
            }
            Filter::Exists(field) => self.field(field).exists(),
            Filter::Matches { field, pattern } => {
                let field = self.field(field);
                self.params.push(Value::Text(pattern.clone()));
                format!("({} AND {} REGEXP ?)", field.is(Type::Text), field.value())
            }
            Filter::And(filters) => self.joined(filters, " AND ", "1")?,
            Filter::Or(filters) => self.joined(filters, " OR ", "0")?,
            Filter::Not(filter) => format!("(NOT {})", self.condition(filter)?),
        })
    }

    fn joined(&mut self, filters: &[Filter], between: &str, none: &str) -> Result<String> {
        let conditions: Result<Vec<_>> = filters.iter().map(|one| self.condition(one)).collect();
        let conditions = conditions?;
        Ok(if conditions.is_empty() {
            none.to_owned()
        } else {
            format!("({})", conditions.join(between))
        })
    }

    fn comparison(&mut self, field: &Field, by: Comparison, value: &Json) -> Result<String> {
        let sign = match by {
            Comparison::Eq => return self.equal(field, value),
            Comparison::Ne => return Ok(format!("(NOT {})", self.equal(field, value)?)),
            Comparison::Contains => return self.contains(field, value),
            Comparison::Gt => ">",
            Comparison::Gte => ">=",
            Comparison::Lt => "<",
            Comparison::Lte => "<=",
        };
        // Nothing is more or less than null, a truth value, a list or an object.
        Ok(self.compared(field, sign, value).unwrap_or_else(|| "0".to_owned()))
    }

    /// Compared with a number or a text; `None` for anything else.
    fn compared(&mut self, field: &Field, sign: &str, value: &Json) -> Option<String> {
        let (kind, value) = plain(value)?;
        self.params.push(value);
        Some(format!("({} AND {} {sign} ?)", field.is(kind), field.value_as(kind)))
    }

    fn equal(&mut self, field: &Field, value: &Json) -> Result<String> {
        if let Some(compared) = self.compared(field, "=", value) {
            return Ok(compared);
        }
        Ok(match value {
            Json::Bool(value) => field.is_boolean(*value),
            Json::Null => field.is_null(),
            document => {
                let is = field.is_document();
                if is.contains('?') {
                    self.params.push(Value::Text(document.to_string()));
                }
                is
            }
        })
    }

    fn contains(&mut self, field: &Field, value: &Json) -> Result<String> {
        let mut ways = Vec::new();
        if let Json::String(text) = value {
            self.params.push(Value::Text(text.clone()));
            ways.push(format!("({} AND instr({}, ?) > 0)", field.is(Type::Text), field.value()));
        }
        if let Some(elements) = field.elements() {
            let is = match (value, plain(value)) {
                (_, Some((kind, value))) => {
                    self.params.push(value);
                    let types = match kind {
                        Type::Number => "('integer', 'real')",
                        Type::Text => "('text')",
                    };
                    format!("e.type IN {types} AND e.atom = ?")
                }
                (Json::Bool(value), _) => format!("e.type = '{value}'"),
                (Json::Null, _) => "e.type = 'null'".to_owned(),
                (document, _) => {
                    self.params.push(Value::Text(document.to_string()));
                    "e.type IN ('array', 'object') AND json(e.value) = json(?)".to_owned()
                }
            };
            ways.push(format!("EXISTS (SELECT 1 FROM {elements} WHERE {is})"));
        }
        Ok(if ways.is_empty() { "0".to_owned() } else { format!("({})", ways.join(" OR ")) })
    }
}

/// A number or a text.
fn plain(value: &Json) -> Option<(Type, Value)> {
    match value {
        Json::Number(number) => {
            let value = match number.as_i64() {
                Some(whole) => Value::Integer(whole),
                None => Value::Float(number.as_f64()?),
            };
            Some((Type::Number, value))
        }
        Json::String(text) => Some((Type::Text, Value::Text(text.clone()))),
        _ => None,
    }
}
