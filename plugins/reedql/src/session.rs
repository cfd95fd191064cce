//! A session: two connections, what they read, and the plans of what they ran.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use reedbase_plugin_api::{
    Error, Host, Params, QueryOptions, Result, Schema, Snapshot, TableName, Timestamp,
};

use crate::connection::Watch;
use crate::plan::Plan;
use crate::script::Statement;
use crate::shared::Shared;
use crate::side::Side;
use crate::transaction::Transactions;

/// A session of ReedQL.
pub(crate) struct Session {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) shared: Arc<Shared>,
    /// All tables are virtual there.
    pub(crate) direct: Side,
    /// Some tables are mirrors there; made when it is first needed.
    pub(crate) mirrored: Option<Side>,
    /// What is read, until something newer is.
    pub(crate) snapshot: Option<Arc<dyn Snapshot>>,
    /// The frame that everything is read after, if it is not the newest.
    pub(crate) instant: Option<Timestamp>,
    pub(crate) transactions: Transactions,
    /// The rows that the transaction wrote, by table, if it has several statements.
    pub(crate) written: HashMap<String, BTreeSet<Vec<String>>>,
    /// How many rows of a table were passed by in scans.
    pub(crate) scanned: HashMap<String, u64>,
    pub(crate) options: QueryOptions,
    pub(crate) watch: Watch,
    /// Plans by their texts, of the tables as they look now.
    pub(crate) plans: HashMap<String, Arc<Plan>>,
    /// The tables as they looked when the plans were made.
    pub(crate) catalog: Catalog,
}

/// The names of all tables, and the schemas of those that plans read.
#[derive(Default)]
pub(crate) struct Catalog {
    names: Vec<TableName>,
    schemas: Vec<(String, Arc<Schema>)>,
}

/// At most this many plans are kept.
const PLANS_MAX: usize = 256;

impl Session {
    /// A session on a database.
    pub(crate) fn open(host: Arc<dyn Host>) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let watch = Watch::default();
        let direct = Side::open(&shared, &watch)?;
        Ok(Self {
            host,
            shared,
            direct,
            mirrored: None,
            snapshot: None,
            instant: None,
            transactions: Transactions::default(),
            written: HashMap::new(),
            scanned: HashMap::new(),
            options: QueryOptions::default(),
            watch,
            plans: HashMap::new(),
            catalog: Catalog::default(),
        })
    }

    /// Reads what is newest, unless something is held still.
    pub(crate) fn refresh(&mut self) -> Result<Arc<dyn Snapshot>> {
        let held = self.instant.is_some() || self.transactions.is_open();
        if let (true, Some(snapshot)) = (held, &self.snapshot) {
            return Ok(Arc::clone(snapshot));
        }
        let newest = self.host.snapshot()?;
        if let Some(known) = self.snapshot.as_ref().filter(|known| Arc::ptr_eq(known, &newest)) {
            return Ok(Arc::clone(known));
        }
        self.read(newest.clone());
        Ok(newest)
    }

    pub(crate) fn read(&mut self, snapshot: Arc<dyn Snapshot>) {
        self.shared.show(Arc::clone(&snapshot));
        self.snapshot = Some(snapshot);
    }

    /// The plan of a text, if it was made when the tables looked as they do now.
    pub(crate) fn known_plan(&mut self, text: &str) -> Result<Option<Arc<Plan>>> {
        let before = self.shared.generation();
        let snapshot = self.refresh()?;
        if self.shared.generation() != before && !self.catalog.is_of(&*snapshot)? {
            self.plans.clear();
            self.catalog = Catalog { names: snapshot.tables(), schemas: Vec::new() };
        }
        Ok(self.plans.get(text).cloned())
    }

    pub(crate) fn plan(&mut self, statement: Statement, params: &Params) -> Result<Plan> {
        let snapshot = self.refresh()?;
        let tables = match self.transactions.is_open() {
            true => self.shared.write(|writer| Ok(writer.tables()))?,
            false => snapshot.tables(),
        };
        let host = Arc::clone(&self.host);
        Plan::of(statement, params, &tables, &|at| host.instant(at))
    }

    pub(crate) fn keep_plan(&mut self, text: &str, plan: Plan) {
        if self.plans.len() >= PLANS_MAX {
            self.plans.clear();
        }
        for table in &plan.tables {
            let known = self.catalog.schemas.iter().any(|(name, _)| name == table);
            if let Some(schema) = self.direct.schema(table).filter(|_| !known) {
                self.catalog.schemas.push((table.clone(), Arc::clone(schema)));
            }
        }
        self.plans.insert(text.to_owned(), Arc::new(plan));
    }

    /// Tables look different from now on.
    pub(crate) fn forget_plans(&mut self) {
        self.shared.touch();
        self.plans.clear();
        self.catalog = Catalog::default();
    }

    pub(crate) fn begin(&mut self) -> Result<()> {
        self.check_present()?;
        self.transactions.begin(&*self.host, &self.shared)?;
        self.snapshot = Some(self.shared.snapshot()?);
        Ok(())
    }

    /// What is read may not be the past if something is to be written.
    pub(crate) fn check_present(&self) -> Result<()> {
        match self.instant {
            Some(_) => Err(Error::usage("the session reads the past, which cannot be changed")
                .help("write in a session that reads what is newest")),
            None => Ok(()),
        }
    }
}

impl Catalog {
    /// Whether the tables still look like this.
    fn is_of(&self, snapshot: &dyn Snapshot) -> Result<bool> {
        if self.names != snapshot.tables() {
            return Ok(false);
        }
        for (name, schema) in &self.schemas {
            if !Arc::ptr_eq(snapshot.table(name)?.schema(), schema) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
