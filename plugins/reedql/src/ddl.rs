//! The shape of tables in SQL: CREATE, ALTER and DROP TABLE, CREATE and DROP INDEX, read into what the database is told to do. SQLite never
//! runs them: over virtual tables it would do nothing, or the wrong thing.

use reedbase_plugin_api::{
    Column, ColumnStep, ColumnType, Error, IndexColumn, IndexSpec, KeyRule, LineEnd, Result,
    Schema, Value,
};
use sqlite3_parser::ast::{
    AlterTableBody, Cmd, ColumnConstraint, ColumnDefinition, CreateTableBody, Expr,
    ForeignKeyClause, Id, Literal, Name, SortedColumn, Stmt, TableConstraint, UnaryOperator,
};
use sqlite3_parser::lexer::sql::Parser;
use sqlite3_parser::{Bump, FallibleIterator};

use crate::script::Statement;

/// What the database is told to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ddl {
    CreateTable {
        name: String,
        schema: Schema,
        if_not_exists: bool,
    },
    /// The query begins with this token.
    CreateTableAs {
        name: String,
        if_not_exists: bool,
        query: usize,
    },
    DropTable {
        name: String,
        if_exists: bool,
    },
    RenameTable {
        name: String,
        to: String,
    },
    AlterTable {
        name: String,
        step: ColumnStep,
    },
    CreateIndex {
        table: String,
        index: IndexSpec,
        if_not_exists: bool,
    },
    DropIndex {
        name: String,
        if_exists: bool,
    },
}

/// The column that a table gets which names no key.
pub(crate) const HIDDEN_KEY: &str = "_id";

/// Reads a statement.
///
/// # Errors
/// What is wrong with it, or cannot be had, with its place.
pub(crate) fn read(statement: &Statement) -> Result<Ddl> {
    let (text, said) = without_our_words(statement)?;
    let bump = Bump::new();
    let mut parser = Parser::new(&bump, text.as_bytes());
    let parsed = parser.next().map_err(|error| {
        let at = statement.tokens.len().saturating_sub(1);
        statement.error(at, Error::invalid(plain(&error.to_string())))
    })?;
    let Some(Cmd::Stmt(parsed)) = parsed else {
        return Err(statement.error(0, Error::invalid("the statement is not finished")));
    };
    ddl(statement, parsed, said).map_err(|error| match error.position().line {
        Some(_) => error,
        None => statement.error(0, error),
    })
}

/// What the parser says, without its own way to tell places.
fn plain(message: &str) -> String {
    message.split(" at ").next().unwrap_or(message).to_owned()
}

/// What CREATE INDEX says that SQLite's grammar does not know.
#[derive(Default)]
struct OfIndex {
    using: Option<String>,
    sparse: bool,
}

/// The text without `USING kind` and `SPARSE`, and what they say. Places stay what they were.
fn without_our_words(statement: &Statement) -> Result<(String, OfIndex)> {
    let (mut text, mut said) = (statement.written().to_owned(), OfIndex::default());
    let is_index = statement.is(1, "INDEX") || statement.is(2, "INDEX");
    if !is_index || !statement.is(0, "CREATE") {
        return Ok((text, said));
    }
    let mut ours = Vec::new();
    if let Some(at) = (0..statement.tokens.len()).find(|at| statement.is(*at, "USING")) {
        let kind = statement.token(at + 1).and_then(|token| token.name(&statement.text));
        let kind = kind.ok_or_else(|| {
            let error = Error::invalid("expected a kind of index here").help("write USING btree");
            statement.error(at + 1, error)
        })?;
        said.using = Some(kind.to_ascii_lowercase());
        ours.extend([at, at + 1]);
    }
    let last = statement.tokens.len().saturating_sub(1);
    if statement.is(last, "SPARSE") {
        said.sparse = true;
        ours.push(last);
    }
    let origin = statement.tokens.first().map_or(0, |token| token.from);
    for token in ours.into_iter().filter_map(|at| statement.token(at)) {
        let place = token.from - origin..token.to - origin;
        text.replace_range(place.clone(), &" ".repeat(place.len()));
    }
    Ok((text, said))
}

fn ddl(statement: &Statement, parsed: Stmt<'_>, said: OfIndex) -> Result<Ddl> {
    match parsed {
        Stmt::CreateIndex { where_clause: Some(_), .. } => {
            Err(Error::usage("an index is of all rows")
                .help("add SPARSE behind the columns to leave out rows without a value"))
        }
        Stmt::CreateIndex { unique, if_not_exists, idx_name, tbl_name, columns, .. } => {
            let name = unquoted(&idx_name.name);
            let index = index(name, said, unique, columns)?;
            Ok(Ddl::CreateIndex { table: unquoted(&tbl_name), index, if_not_exists })
        }
        Stmt::DropIndex { if_exists, idx_name } => {
            Ok(Ddl::DropIndex { name: unquoted(&idx_name.name), if_exists })
        }
        Stmt::CreateTable { temporary: true, .. } => {
            Err(Error::usage("there are no temporary tables")
                .help("write WITH … AS (…), or a table"))
        }
        Stmt::CreateTable { if_not_exists, tbl_name, body, .. } => {
            let name = unquoted(&tbl_name.name);
            match body {
                CreateTableBody::ColumnsAndConstraints { columns, constraints, .. } => {
                    let constraints = constraints.unwrap_or_default();
                    let constraints: Vec<_> =
                        constraints.iter().map(|named| &named.constraint).collect();
                    let schema = schema(&columns, &constraints)?;
                    Ok(Ddl::CreateTable { name, schema, if_not_exists })
                }
                CreateTableBody::AsSelect(_) => {
                    let query = (0..statement.tokens.len()).find(|at| statement.is(*at, "AS"));
                    let query = query.map_or(0, |at| at + 1);
                    Ok(Ddl::CreateTableAs { name, if_not_exists, query })
                }
            }
        }
        Stmt::DropTable { if_exists, tbl_name } => {
            Ok(Ddl::DropTable { name: unquoted(&tbl_name.name), if_exists })
        }
        Stmt::AlterTable(table, body) => alter(unquoted(&table.name), body),
        _ => Err(Error::usage("this cannot be made").help("there are tables, indices and views")),
    }
}

/// An index; of one column it is a `btree` if nothing is said, of several a `composite`.
fn index(
    name: String,
    said: OfIndex,
    unique: bool,
    parts: &[SortedColumn<'_>],
) -> Result<IndexSpec> {
    let columns = parts.iter().map(index_column).collect::<Result<Vec<_>>>()?;
    let usual = if columns.len() == 1 { "btree" } else { "composite" };
    let using = said.using.unwrap_or_else(|| usual.to_owned());
    let mut index = IndexSpec::new(name, using, &[]);
    (index.columns, index.unique, index.sparse) = (columns, unique, said.sparse);
    Ok(index)
}

/// A column of an index. ASC and DESC are taken, and say nothing: an index is read in both directions.
fn index_column(part: &SortedColumn<'_>) -> Result<IndexColumn> {
    let (expr, nocase) = match &part.expr {
        Expr::Collate(expr, name) => match name {
            name if name.eq_ignore_ascii_case("nocase") => (&**expr, true),
            name if name.eq_ignore_ascii_case("binary") => (&**expr, false),
            _ => return Err(Error::usage("the collations of an index are BINARY and NOCASE")),
        },
        expr => (expr, false),
    };
    match expr {
        Expr::Id(Id(name)) | Expr::Name(Name(name)) => {
            Ok(IndexColumn { name: unquoted(&Name(name)), nocase })
        }
        _ => Err(Error::usage("an index is made of columns")
            .help("put what is computed into a column, or into a stored view")),
    }
}

fn alter(name: String, body: AlterTableBody<'_>) -> Result<Ddl> {
    let step = match body {
        AlterTableBody::RenameTo(to) => return Ok(Ddl::RenameTable { name, to: unquoted(&to) }),
        AlterTableBody::AddColumn(column) => {
            let (column, in_key) = column_of(&column)?;
            if in_key {
                return Err(Error::usage("a new column cannot be a part of the key")
                    .help("make another table, and copy the rows: INSERT INTO … SELECT"));
            }
            ColumnStep::Add(column)
        }
        AlterTableBody::DropColumn(column) => ColumnStep::Drop(unquoted(&column)),
        AlterTableBody::RenameColumn { old, new } => {
            ColumnStep::Rename { from: unquoted(&old), to: unquoted(&new) }
        }
        _ => {
            return Err(Error::usage("columns can be added, dropped and renamed")
                .help("other rules stand in the table's schema.toml"));
        }
    };
    Ok(Ddl::AlterTable { name, step })
}

fn schema(
    columns: &[ColumnDefinition<'_>],
    constraints: &[&TableConstraint<'_>],
) -> Result<Schema> {
    let mut made = Vec::new();
    for column in columns {
        let (column, in_key) = column_of(column)?;
        made.push(column.in_key(in_key));
    }
    for constraint in constraints {
        table_constraint(constraint, &mut made)?;
    }
    if !made.iter().any(|column| column.primary_key) {
        made.insert(0, hidden_key());
    }
    Ok(Schema::new(b'|', LineEnd::Lf, made))
}

/// A schema for rows: each column of the type of its first value, and a hidden key.
pub(crate) fn schema_of_rows(names: &[String], rows: &[Vec<Value>]) -> Schema {
    let kind = |at: usize| {
        let mut values = rows.iter().filter_map(|row| row.get(at));
        match values.find(|value| **value != Value::Null) {
            Some(Value::Integer(_)) => ColumnType::Integer,
            Some(Value::Float(_)) => ColumnType::Float,
            Some(Value::Binary(_)) => ColumnType::Binary,
            _ => ColumnType::String,
        }
    };
    let columns = names.iter().enumerate().map(|(at, name)| Column::new(name, kind(at)));
    let mut made = vec![hidden_key()];
    made.extend(columns);
    Schema::new(b'|', LineEnd::Lf, made)
}

fn hidden_key() -> Column {
    let mut key = Column::new(HIDDEN_KEY, ColumnType::String).in_key(true);
    (key.generated, key.hidden) = (Some(KeyRule::Uuid7), true);
    key
}

fn table_constraint(constraint: &TableConstraint<'_>, columns: &mut [Column]) -> Result<()> {
    match constraint {
        TableConstraint::PrimaryKey { columns: key, .. } => key.iter().try_for_each(|part| {
            find(columns, &sorted_name(part)?).map(|column| column.primary_key = true)
        }),
        TableConstraint::Unique { columns: parts, .. } => match parts {
            [part] => find(columns, &sorted_name(part)?).map(|column| column.unique = true),
            _ => Err(Error::usage("a rule that several columns together are unique is an index")
                .help("write CREATE UNIQUE INDEX … ON … (a, b)")),
        },
        TableConstraint::ForeignKey { columns: parts, clause, .. } => match parts {
            [part] => {
                let column = find(columns, &unquoted(&part.col_name))?;
                column.references = Some(reference(clause));
                Ok(())
            }
            _ => Err(Error::usage("a reference is made of one column")),
        },
        TableConstraint::Check(..) => Err(no_check()),
    }
}

fn no_check() -> Error {
    Error::usage("CHECK is not done here")
        .help("types, min, max and pattern stand in the table's schema.toml")
}

fn find<'c>(columns: &'c mut [Column], name: &str) -> Result<&'c mut Column> {
    let column = columns.iter_mut().find(|column| column.name.eq_ignore_ascii_case(name));
    column.ok_or_else(|| Error::not_found(format!("there is no column `{name}`")))
}

/// A column, and whether it is a part of the key.
fn column_of(defined: &ColumnDefinition<'_>) -> Result<(Column, bool)> {
    let name = unquoted(&defined.col_name);
    let kind = defined.col_type.as_ref().map_or(Ok(ColumnType::String), |kind| type_of(kind.name));
    let mut column = Column::new(name.clone(), kind.map_err(|error| error.at_column(&name))?);
    let mut in_key = false;
    for named in defined.constraints {
        match &named.constraint {
            ColumnConstraint::PrimaryKey { auto_increment, .. } => {
                in_key = true;
                // As in SQLite, a key that is a whole number is made if it is not given.
                if *auto_increment || column.kind == ColumnType::Integer {
                    column.generated = Some(KeyRule::Next);
                }
            }
            ColumnConstraint::NotNull { nullable, .. } => column.required = !nullable,
            ColumnConstraint::Unique(_) => column.unique = true,
            ColumnConstraint::Default(value) => {
                column.default = default_of(value).map_err(|error| error.at_column(&name))?;
            }
            ColumnConstraint::ForeignKey { clause, .. } => {
                column.references = Some(reference(clause))
            }
            ColumnConstraint::Check(_) => return Err(no_check().at_column(&name)),
            ColumnConstraint::Generated { .. } => {
                return Err(Error::usage("columns cannot be computed")
                    .help("write a view that computes it")
                    .at_column(&name));
            }
            ColumnConstraint::Collate { .. } => {
                return Err(Error::usage("columns have the collation of their type")
                    .help("write COLLATE where values are compared or sorted")
                    .at_column(&name));
            }
            ColumnConstraint::Defer(_) => {}
        }
    }
    Ok((column, in_key))
}

fn reference(clause: &ForeignKeyClause<'_>) -> String {
    unquoted(&clause.tbl_name)
}

/// The names of types that SQL has for ours.
const TYPES: [(&str, ColumnType); 27] = [
    ("integer", ColumnType::Integer),
    ("int", ColumnType::Integer),
    ("bigint", ColumnType::Integer),
    ("smallint", ColumnType::Integer),
    ("tinyint", ColumnType::Integer),
    ("real", ColumnType::Float),
    ("float", ColumnType::Float),
    ("double", ColumnType::Float),
    ("double precision", ColumnType::Float),
    ("decimal", ColumnType::Decimal),
    ("numeric", ColumnType::Decimal),
    ("boolean", ColumnType::Boolean),
    ("bool", ColumnType::Boolean),
    ("date", ColumnType::Date),
    ("timestamp", ColumnType::Timestamp),
    ("datetime", ColumnType::Timestamp),
    ("json", ColumnType::Json),
    ("jsonb", ColumnType::Json),
    ("blob", ColumnType::Binary),
    ("binary", ColumnType::Binary),
    ("string", ColumnType::String),
    ("text", ColumnType::String),
    ("varchar", ColumnType::String),
    ("char", ColumnType::String),
    ("character varying", ColumnType::String),
    ("clob", ColumnType::String),
    ("uuid", ColumnType::String),
];

fn type_of(name: &str) -> Result<ColumnType> {
    let known = TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        Error::invalid(format!("`{name}` is not a type")).help(
            "the types are text, integer, float, decimal, boolean, timestamp, date, json and binary",
        )
    })
}

/// The text of the cell that a default is.
fn default_of(value: &Expr<'_>) -> Result<Option<String>> {
    let text = match value {
        Expr::Literal(Literal::Null) => None,
        Expr::Literal(Literal::Numeric(number)) => Some((*number).to_owned()),
        Expr::Literal(Literal::String(text)) => {
            let inner = text.trim_start_matches('\'').strip_suffix('\'').unwrap_or(text);
            Some(inner.replace("''", "'"))
        }
        Expr::Unary(UnaryOperator::Negative, inner) => {
            default_of(inner)?.map(|number| format!("-{number}"))
        }
        Expr::Parenthesized(inner) => match &inner[..] {
            [inner] => default_of(inner)?,
            _ => return Err(Error::usage("a default is one value")),
        },
        Expr::Id(Id(word)) | Expr::Name(Name(word)) if is_truth(word) => Some(word.to_lowercase()),
        _ => {
            return Err(Error::usage("a default is a text, a number, TRUE, FALSE or NULL"));
        }
    };
    Ok(text)
}

fn is_truth(word: &str) -> bool {
    ["true", "false"].iter().any(|truth| truth.eq_ignore_ascii_case(word))
}

fn sorted_name(part: &SortedColumn<'_>) -> Result<String> {
    match &part.expr {
        Expr::Id(Id(name)) | Expr::Name(Name(name)) => Ok(unquoted(&Name(name))),
        _ => Err(Error::usage("a key is made of columns")),
    }
}

/// A name without quotes.
fn unquoted(name: &Name<'_>) -> String {
    let text = name.0;
    let inner = |quote: &str| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        Some(inner.replace(&quote.repeat(2), quote))
    };
    let bracket = || text.strip_prefix('[')?.strip_suffix(']').map(str::to_owned);
    let quoted = inner("\"").or_else(|| inner("`")).or_else(|| inner("'")).or_else(bracket);
    quoted.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::statements;

    fn ddl(text: &str) -> Result<Ddl> {
        read(&statements(text).unwrap()[0])
    }

    #[test]
    fn tables_are_described_in_sql() {
        let text = "CREATE TABLE IF NOT EXISTS \"the users\" (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL DEFAULT 'it''s', \
                    n INT DEFAULT -5, email TEXT UNIQUE, boss INT REFERENCES users(id), ok BOOL DEFAULT TRUE)";
        let Ddl::CreateTable { name, schema, if_not_exists } = ddl(text).unwrap() else { panic!() };
        assert_eq!((name.as_str(), if_not_exists), ("the users", true));
        let said: Vec<_> = schema
            .columns
            .iter()
            .map(|c| (c.name.as_str(), c.kind, c.default.as_deref()))
            .collect();
        assert_eq!(
            said,
            [
                ("id", ColumnType::Integer, None),
                ("name", ColumnType::String, Some("it's")),
                ("n", ColumnType::Integer, Some("-5")),
                ("email", ColumnType::String, None),
                ("boss", ColumnType::Integer, None),
                ("ok", ColumnType::Boolean, Some("true")),
            ]
        );
        let [id, name, _, email, boss, _] = &schema.columns[..] else { panic!() };
        assert!(
            id.primary_key && id.generated == Some(KeyRule::Next) && name.required && email.unique
        );
        assert_eq!(boss.references.as_deref(), Some("users"));
        let Ddl::CreateTable { schema, .. } = ddl("CREATE TABLE t (a TEXT, b JSON)").unwrap()
        else {
            panic!()
        };
        assert_eq!((schema.columns[0].name.as_str(), schema.columns[0].hidden), ("_id", true));
        let Ddl::CreateTable { schema, .. } =
            ddl("CREATE TABLE t (a TEXT, b INT, PRIMARY KEY (b, a))").unwrap()
        else {
            panic!()
        };
        assert_eq!(schema.key(), [0, 1]);
    }

    #[test]
    fn tables_change_and_go() {
        assert_eq!(
            ddl("DROP TABLE IF EXISTS t").unwrap(),
            Ddl::DropTable { name: "t".into(), if_exists: true }
        );
        assert_eq!(
            ddl("ALTER TABLE a RENAME TO b").unwrap(),
            Ddl::RenameTable { name: "a".into(), to: "b".into() }
        );
        let step = ColumnStep::Rename { from: "x".into(), to: "y".into() };
        assert_eq!(
            ddl("ALTER TABLE a RENAME COLUMN x TO \"y\"").unwrap(),
            Ddl::AlterTable { name: "a".into(), step }
        );
        let Ddl::AlterTable { step: ColumnStep::Add(column), .. } =
            ddl("ALTER TABLE a ADD COLUMN n INT DEFAULT 7").unwrap()
        else {
            panic!()
        };
        assert_eq!((column.kind, column.default.as_deref()), (ColumnType::Integer, Some("7")));
    }

    #[test]
    fn indices_are_described_in_sql() {
        let text = "CREATE UNIQUE INDEX IF NOT EXISTS i ON \"t t\" USING Hash (a, b COLLATE NOCASE) SPARSE";
        let Ddl::CreateIndex { table, index, if_not_exists } = ddl(text).unwrap() else { panic!() };
        assert_eq!((table.as_str(), if_not_exists), ("t t", true));
        let columns: Vec<_> =
            index.columns.iter().map(|column| (column.name.as_str(), column.nocase)).collect();
        assert_eq!(columns, [("a", false), ("b", true)]);
        assert_eq!((index.using.as_str(), index.unique, index.sparse), ("hash", true, true));
        let using = |text| match ddl(text).unwrap() {
            Ddl::CreateIndex { index, .. } => index.using,
            _ => panic!(),
        };
        assert_eq!(using("CREATE INDEX i ON t (a)"), "btree");
        assert_eq!(using("CREATE INDEX i ON t (a, b)"), "composite");
        // It is read in both directions.
        let columns = |text| ddl(&format!("CREATE INDEX i ON t {text}")).unwrap();
        assert_eq!(columns("(a DESC, b)"), columns("(a, b ASC)"));
        assert_eq!(
            ddl("DROP INDEX i").unwrap(),
            Ddl::DropIndex { name: "i".into(), if_exists: false }
        );
    }

    #[test]
    fn what_cannot_be_had_says_so() {
        let error = |text| ddl(text).unwrap_err().to_string();
        assert_eq!(
            error("CREATE TABLE t (a MONEY)"),
            "line 1, character 1, column a: `MONEY` is not a type"
        );
        assert_eq!(
            error("CREATE TABLE t (a INT CHECK (a > 1))"),
            "line 1, character 1, column a: CHECK is not done here"
        );
        assert_eq!(
            error("CREATE INDEX i ON t (a + 1)"),
            "line 1, character 1: an index is made of columns"
        );
        assert_eq!(
            error("CREATE INDEX i ON t USING"),
            "line 1, character 26: expected a kind of index here"
        );
        assert_eq!(
            error("CREATE TEMP TABLE t (a)"),
            "line 1, character 1: there are no temporary tables"
        );
    }
}
