//! From a statement to ReedQL: names in quotes, values as parameters, nothing else of what was written.

use reedbase_plugin_api::{Error, Params, Result, Translated, Value};

use crate::ast::{
    Arguments, Core, Expr, Item, List, Name, Path, Placeholder, Select, Statement, Step,
};

/// The values that stand for placeholders, and how many were taken.
pub(crate) struct Given<'a> {
    /// `None` where only the text is looked at.
    pub(crate) params: Option<&'a Params>,
    pub(crate) taken: usize,
}

/// What comes out, as far as it is known.
pub(crate) struct Emit<'a, 'g> {
    source: &'a str,
    given: &'a mut Given<'g>,
    text: String,
    params: Vec<Value>,
    places: Vec<(usize, usize)>,
    /// The names of the tables that may stand before a column, those of the innermost SELECT last.
    scopes: Vec<Vec<String>>,
}

impl<'a, 'g> Emit<'a, 'g> {
    pub(crate) fn new(source: &'a str, given: &'a mut Given<'g>) -> Self {
        let (text, params, places, scopes) = Default::default();
        Self { source, given, text, params, places, scopes }
    }

    pub(crate) fn statement(mut self, statement: &Statement) -> Result<Translated> {
        let counts = match statement {
            Statement::Select(select) => {
                self.select(select)?;
                None
            }
            Statement::Insert { table, columns, rows } => {
                self.insert(table, columns, rows)?;
                Some("inserted_count")
            }
            Statement::Update { table, set, filter } => {
                self.update(table, set, filter.as_ref())?;
                Some("updated_count")
            }
            Statement::Delete { table, filter } => {
                self.put("DELETE FROM ");
                self.name(table);
                self.scopes.push(vec![table.text.clone()]);
                self.clause(" WHERE ", filter.as_ref())?;
                Some("deleted_count")
            }
            Statement::Transaction(word) => {
                self.put(word);
                None
            }
        };
        let counts = counts.map(str::to_owned);
        let params = Params::from(self.params);
        Ok(Translated { text: self.text, params, counts, places: self.places })
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn value(&mut self, value: Value) {
        self.params.push(value);
        self.put("?");
    }

    fn quoted(&mut self, name: &str) {
        self.put("\"");
        self.put(&name.replace('"', "\"\""));
        self.put("\"");
    }

    /// A name that was written, and where.
    fn name(&mut self, name: &Name) {
        self.remember(name.at);
        self.quoted(&name.text);
    }

    fn remember(&mut self, at: usize) {
        self.places.push((self.text.len(), at));
    }

    fn wrong(&self, at: usize, message: &str) -> Error {
        Error::invalid(message).in_text(self.source, at)
    }

    fn list<T>(
        &mut self,
        items: &[T],
        between: &str,
        mut act: impl FnMut(&mut Self, &T) -> Result<()>,
    ) -> Result<()> {
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.put(between);
            }
            act(self, item)?;
        }
        Ok(())
    }

    fn clause(&mut self, word: &str, expr: Option<&Expr>) -> Result<()> {
        let Some(expr) = expr else { return Ok(()) };
        self.put(word);
        self.expr(expr)
    }

    fn insert(&mut self, table: &Name, columns: &[Name], rows: &[Vec<Expr>]) -> Result<()> {
        self.put("INSERT INTO ");
        self.name(table);
        self.put(" (");
        self.list(columns, ", ", |emit, column| {
            emit.name(column);
            Ok(())
        })?;
        self.put(") VALUES ");
        self.list(rows, ", ", |emit, row| {
            emit.put("(");
            emit.list(row, ", ", Self::expr)?;
            emit.put(")");
            Ok(())
        })
    }

    fn update(&mut self, table: &Name, set: &[(Path, Expr)], filter: Option<&Expr>) -> Result<()> {
        self.scopes.push(vec![table.text.clone()]);
        self.put("UPDATE ");
        self.name(table);
        self.put(" SET ");
        let mut columns: Vec<(&Name, Vec<(&Path, &Expr)>)> = Vec::new();
        for (path, value) in set {
            let same = |name: &Name| name.text.eq_ignore_ascii_case(&path.first.text);
            match columns.iter_mut().find(|(name, _)| same(name)) {
                Some((_, all)) => all.push((path, value)),
                None => columns.push((&path.first, vec![(path, value)])),
            }
        }
        self.list(&columns, ", ", |emit, (column, values)| {
            emit.name(column);
            emit.put(" = ");
            emit.assigned(column, values)
        })?;
        self.clause(" WHERE ", filter)
    }

    /// What a column becomes: a value, or the document that it holds with other values in it.
    fn assigned(&mut self, column: &Name, values: &[(&Path, &Expr)]) -> Result<()> {
        if let [(path, value)] = values
            && path.steps.is_empty()
        {
            return self.expr(value);
        }
        self.put("json_set(coalesce(");
        self.quoted(&column.text);
        self.put(", '{}')");
        for (path, value) in values {
            if path.steps.is_empty() {
                let message = "a column and something in it cannot be set at once";
                return Err(self.wrong(path.first.at, message));
            }
            self.put(", ");
            self.steps(&path.steps)?;
            self.put(", ");
            match value {
                Expr::Value(Value::Boolean(true)) => self.put("json('true')"),
                Expr::Value(Value::Boolean(false)) => self.put("json('false')"),
                other => self.expr(other)?,
            }
        }
        self.put(")");
        Ok(())
    }

    fn select(&mut self, select: &Select) -> Result<()> {
        self.core(&select.first)?;
        for (between, core) in &select.more {
            self.scopes.pop();
            self.put(&format!(" {between} "));
            self.core(core)?;
        }
        if !select.order.is_empty() {
            self.put(" ORDER BY ");
            self.list(&select.order, ", ", |emit, (value, direction)| {
                emit.expr(value)?;
                emit.put(&format!(" {direction}"));
                Ok(())
            })?;
        }
        self.clause(" LIMIT ", select.limit.as_ref())?;
        self.clause(" OFFSET ", select.offset.as_ref())?;
        self.scopes.pop();
        Ok(())
    }

    /// One SELECT; its tables may still be named behind it.
    fn core(&mut self, core: &Core) -> Result<()> {
        let name =
            |from: &crate::ast::Source| from.alias.as_ref().unwrap_or(&from.table).text.clone();
        self.scopes.push(core.from.iter().map(name).collect());
        self.put(if core.distinct { "SELECT DISTINCT " } else { "SELECT " });
        self.list(&core.items, ", ", Self::item)?;
        if !core.from.is_empty() {
            self.put(" FROM ");
        }
        for from in &core.from {
            match from.join {
                "" => {}
                "," => self.put(", "),
                join => self.put(&format!(" {join} ")),
            }
            self.name(&from.table);
            if let Some(alias) = &from.alias {
                self.put(" AS ");
                self.name(alias);
            }
            self.clause(" ON ", from.on.as_ref())?;
        }
        self.clause(" WHERE ", core.filter.as_ref())?;
        if !core.group.is_empty() {
            self.put(" GROUP BY ");
            self.list(&core.group, ", ", Self::expr)?;
        }
        self.clause(" HAVING ", core.having.as_ref())
    }

    fn item(&mut self, item: &Item) -> Result<()> {
        match item {
            Item::All(table) => {
                if let Some(table) = table {
                    self.name(table);
                    self.put(".");
                }
                self.put("*");
            }
            Item::Value(value, name) => {
                self.expr(value)?;
                self.put(" AS ");
                self.quoted(name);
            }
        }
        Ok(())
    }

    fn expr(&mut self, expr: &Expr) -> Result<()> {
        if expr.is_instant() {
            self.put("date_timestamp(");
            self.micros(expr)?;
            self.put(")");
            return Ok(());
        }
        match expr {
            Expr::Value(value) => self.value(value.clone()),
            Expr::Place(place) => self.put(&place.to_string()),
            Expr::Placeholder(placeholder) => {
                let value = self.given.value(placeholder)?;
                self.value(value);
            }
            Expr::Path(path) => self.path(path)?,
            Expr::Call { name, distinct, arguments } => self.call(name, *distinct, arguments)?,
            Expr::Unary(sign, what) => {
                self.put(&format!("({sign} "));
                self.expr(what)?;
                self.put(")");
            }
            Expr::Binary(left, sign, right) => self.binary(left, sign, right)?,
            Expr::IsNull { value, not } => {
                self.put("(");
                self.expr(value)?;
                self.put(if *not { " IS NOT NULL)" } else { " IS NULL)" });
            }
            Expr::Between { value, not, from, to } => {
                let by_time = [value, from, to].iter().any(|expr| expr.is_instant());
                self.put("(");
                self.compared(value, by_time)?;
                self.put(if *not { " NOT BETWEEN " } else { " BETWEEN " });
                self.compared(from, by_time)?;
                self.put(" AND ");
                self.compared(to, by_time)?;
                self.put(")");
            }
            Expr::In { value, not, list } => self.within(value, *not, list)?,
            Expr::Exists(select) => {
                self.put("EXISTS (");
                self.select(select)?;
                self.put(")");
            }
            Expr::Sub(select) => {
                self.put("(");
                self.select(select)?;
                self.put(")");
            }
            Expr::Extract(part, of) => {
                self.put(&format!("CAST(strftime('{part}', "));
                self.expr(of)?;
                self.put(") AS INTEGER)");
            }
            Expr::Interval(micros) => self.value(Value::Integer(*micros)),
            Expr::Instant(_) | Expr::Now => self.micros(expr)?,
        }
        Ok(())
    }

    fn binary(&mut self, left: &Expr, sign: &str, right: &Expr) -> Result<()> {
        const COMPARISONS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];
        let by_time = COMPARISONS.contains(&sign) && (left.is_instant() || right.is_instant());
        self.put("(");
        self.compared(left, by_time)?;
        self.put(&format!(" {sign} "));
        self.compared(right, by_time)?;
        self.put(")");
        Ok(())
    }

    /// A side of a comparison; instants are compared as such, however they are written.
    fn compared(&mut self, expr: &Expr, by_time: bool) -> Result<()> {
        if by_time { self.micros(expr) } else { self.expr(expr) }
    }

    /// An instant in microseconds; NULL for what is none.
    fn micros(&mut self, expr: &Expr) -> Result<()> {
        match expr {
            Expr::Instant(micros) => self.value(Value::Integer(*micros)),
            Expr::Now => self.put("date_micros(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"),
            Expr::Binary(left, sign, right) if expr.is_instant() => {
                self.put("(");
                for (side, before) in [(left, ""), (right, *sign)] {
                    self.put(&format!(" {before} "));
                    match &**side {
                        Expr::Interval(micros) => self.value(Value::Integer(*micros)),
                        other => self.micros(other)?,
                    }
                }
                self.put(")");
            }
            other => {
                self.put("date_micros(");
                self.expr(other)?;
                self.put(")");
            }
        }
        Ok(())
    }

    fn within(&mut self, value: &Expr, not: bool, list: &List) -> Result<()> {
        let by_time = match list {
            List::Values(values) => value.is_instant() || values.iter().any(Expr::is_instant),
            List::Select(_) => false,
        };
        self.put("(");
        self.compared(value, by_time)?;
        self.put(if not { " NOT IN (" } else { " IN (" });
        match list {
            List::Values(values) => {
                self.list(values, ", ", |emit, value| emit.compared(value, by_time))?;
            }
            List::Select(select) => self.select(select)?,
        }
        self.put("))");
        Ok(())
    }

    fn call(&mut self, name: &Name, distinct: bool, arguments: &Arguments) -> Result<()> {
        if !name.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(self.wrong(name.at, &format!("`{}` is no name of a function", name.text)));
        }
        self.remember(name.at);
        self.put(&name.text);
        self.put(if distinct { "(DISTINCT " } else { "(" });
        match arguments {
            Arguments::All => self.put("*"),
            Arguments::Values(values) => self.list(values, ", ", Self::expr)?,
        }
        self.put(")");
        Ok(())
    }

    fn path(&mut self, path: &Path) -> Result<()> {
        let table = self.is_table(&path.first.text);
        match (table, path.steps.split_first()) {
            (true, Some((Step::Name(column), rest))) => self.within_document(rest, |emit| {
                emit.name(&path.first);
                emit.put(".");
                emit.name(column);
            }),
            _ => self.within_document(&path.steps, |emit| emit.name(&path.first)),
        }
    }

    fn is_table(&self, name: &str) -> bool {
        self.scopes.iter().flatten().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// A column, or what a document in it holds: NULL where it holds none.
    fn within_document(&mut self, steps: &[Step], column: impl Fn(&mut Self)) -> Result<()> {
        if steps.is_empty() {
            column(self);
            return Ok(());
        }
        self.put("(CASE WHEN json_valid(");
        column(self);
        self.put(") THEN ");
        column(self);
        self.put(" ->> ");
        self.steps(steps)?;
        self.put(" END)");
        Ok(())
    }

    /// Steps into a document, as SQLite writes them. They are names, and are part of the text: so it knows `GROUP BY` and what is
    /// selected for the same.
    fn steps(&mut self, steps: &[Step]) -> Result<()> {
        let mut path = "$".to_owned();
        for step in steps {
            match step {
                Step::Name(name) if name.text.contains('"') => {
                    return Err(self.wrong(name.at, "a name in a document has no quotes in it"));
                }
                Step::Name(name) => path.push_str(&format!(".\"{}\"", name.text)),
                Step::Place(place) => path.push_str(&format!("[{place}]")),
            }
        }
        self.put("'");
        self.put(&path.replace('\'', "''"));
        self.put("'");
        Ok(())
    }
}

impl Given<'_> {
    fn value(&mut self, placeholder: &Placeholder) -> Result<Value> {
        let at = self.taken;
        if matches!(placeholder, Placeholder::Next) {
            self.taken += 1;
        }
        let Some(params) = self.params else { return Ok(Value::Null) };
        match placeholder {
            // How many there are is told at the end.
            Placeholder::Next => Ok(params.positional.get(at).cloned().unwrap_or(Value::Null)),
            Placeholder::Named(name) => {
                let mut named = params.named.iter();
                let known = named.find(|(known, _)| known == name);
                known.map(|(_, value)| value.clone()).ok_or_else(|| {
                    Error::usage(format!("there is no value for :{name}"))
                        .help(format!("give one: --param {name}=…"))
                })
            }
        }
    }

    /// That there are as many values as placeholders.
    pub(crate) fn check(&self) -> Result<()> {
        let given = self.params.map_or(self.taken, |params| params.positional.len());
        if given == self.taken {
            return Ok(());
        }
        let (taken, are) = (self.taken, if given == 1 { "value is" } else { "values are" });
        let placeholders = if taken == 1 { "placeholder" } else { "placeholders" };
        Err(Error::usage(format!("the text has {taken} {placeholders}, and {given} {are} given")))
    }
}
