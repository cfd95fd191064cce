//! A session: two connections, what they read, and the plans of what they ran.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use reedbase_plugin_api::{
    Error, Host, Params, QueryOptions, Result, Schema, Snapshot, TableName, Timestamp,
};

use crate::connection::Watch;
use crate::plan::Plan;
use crate::script::Statement;
use crate::shared::Shared;
use crate::side::Side;
use crate::source::Source;
use crate::transaction::Transactions;
use crate::views::{self, VIEWS, View};

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
    /// Whether the transaction made, changed or dropped a table or a view.
    pub(crate) reshaped: bool,
    /// The rows that the transaction wrote, by table, if it has several statements.
    pub(crate) written: HashMap<String, BTreeSet<Vec<String>>>,
    /// How many rows of a table were passed by in scans.
    pub(crate) scanned: HashMap<String, u64>,
    pub(crate) options: QueryOptions,
    pub(crate) watch: Watch,
    /// Plans by their texts, of the tables as they look now.
    plans: foldhash::HashMap<String, Known>,
    /// The tables as they looked when the plans were made.
    pub(crate) catalog: Catalog,
}

/// A plan that is kept.
struct Known {
    plan: Arc<Plan>,
    /// The snapshot for which it was found to mean the same.
    seen: Weak<dyn Snapshot>,
}

/// The names of all tables, and the schemas of those that plans read.
#[derive(Default)]
pub(crate) struct Catalog {
    names: Vec<TableName>,
    /// The version of the table of views.
    views: Option<Timestamp>,
    schemas: Vec<(String, Arc<Schema>)>,
    /// The snapshot of which that is known.
    looked_at: Option<Arc<dyn Snapshot>>,
}

/// At most this many plans are kept.
const PLANS_MAX: usize = 256;

impl Session {
    /// A session on a database.
    pub(crate) fn open(host: Arc<dyn Host>) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let watch = Watch::default();
        let direct = Side::open(&shared, &watch, &host.functions())?;
        Ok(Self {
            host,
            shared,
            direct,
            mirrored: None,
            snapshot: None,
            instant: None,
            transactions: Transactions::default(),
            reshaped: false,
            written: HashMap::new(),
            scanned: HashMap::new(),
            options: QueryOptions::default(),
            watch,
            plans: foldhash::HashMap::default(),
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

    /// The plan of a text, if it was made when the tables looked as they do now, and means the same.
    pub(crate) fn known_plan(&mut self, text: &str, params: &Params) -> Result<Option<Arc<Plan>>> {
        self.check_shapes()?;
        let (Some(known), Some(snapshot)) = (self.plans.get_mut(text), &self.snapshot) else {
            return Ok(None);
        };
        let same_frames = std::ptr::addr_eq(known.seen.as_ptr(), Arc::as_ptr(snapshot));
        let host = &self.host;
        if !known.plan.is_with(params, same_frames, &|at| host.instant(at)) {
            return Ok(None);
        }
        if !same_frames {
            known.seen = Arc::downgrade(snapshot);
        }
        Ok(Some(Arc::clone(&known.plan)))
    }

    /// Forgets all plans if the tables look otherwise than they did.
    fn check_shapes(&mut self) -> Result<()> {
        let snapshot = self.refresh()?;
        let looked = self.catalog.looked_at.as_ref();
        if looked.is_some_and(|looked| Arc::ptr_eq(looked, &snapshot)) {
            return Ok(());
        }
        if !self.catalog.is_of(&*snapshot)? {
            self.plans.clear();
            self.shared.forget_sources();
            self.forget_views()?;
            let views = Catalog::views_of(&*snapshot)?;
            let names = snapshot.tables();
            self.catalog = Catalog { names, views, ..Catalog::default() };
        }
        self.catalog.looked_at = Some(snapshot);
        Ok(())
    }

    pub(crate) fn plan(&mut self, statement: Statement, params: &Params) -> Result<Plan> {
        self.refresh()?;
        let (tables, views) = (self.table_names()?, self.known_views()?);
        let host = Arc::clone(&self.host);
        Plan::of(statement, params, &tables, &views, &|at| host.instant(at))
    }

    /// The names of the tables, as they are read now.
    pub(crate) fn table_names(&mut self) -> Result<Vec<TableName>> {
        match self.transactions.is_open() {
            true => self.shared.write(|writer| Ok(writer.tables())),
            false => Ok(self.refresh()?.tables()),
        }
    }

    /// The views there are.
    pub(crate) fn known_views(&mut self) -> Result<Vec<View>> {
        if !self.table_names()?.iter().any(|table| table.as_str() == VIEWS) {
            return Ok(Vec::new());
        }
        views::read(&*self.shared.view(VIEWS, || Arc::new(Source::Now(VIEWS.to_owned())))?)
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
        if let Some(snapshot) = &self.snapshot {
            let known = Known { plan: Arc::new(plan), seen: Arc::downgrade(snapshot) };
            self.plans.insert(text.to_owned(), known);
        }
    }

    /// If the transaction made, changed or dropped a table or a view, these look different from now on.
    pub(crate) fn forget_shapes(&mut self) -> Result<()> {
        if !self.reshaped {
            return Ok(());
        }
        if let Some(side) = &mut self.mirrored {
            side.forget_mirrors()?;
        }
        self.shared.touch();
        self.shared.forget_sources();
        self.plans.clear();
        self.catalog = Catalog::default();
        self.forget_views()
    }

    fn forget_views(&mut self) -> Result<()> {
        self.direct.forget_views()?;
        self.mirrored.as_mut().map_or(Ok(()), Side::forget_views)
    }

    pub(crate) fn begin(&mut self) -> Result<()> {
        self.check_present()?;
        self.transactions.begin(&*self.host, &self.shared)?;
        self.snapshot = Some(self.shared.snapshot()?);
        self.written.clear();
        self.reshaped = false;
        self.shared.want_written(false);
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
    fn views_of(snapshot: &dyn Snapshot) -> Result<Option<Timestamp>> {
        match snapshot.table(VIEWS) {
            Ok(table) => Ok(Some(table.version())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the tables still look like this.
    fn is_of(&self, snapshot: &dyn Snapshot) -> Result<bool> {
        if self.names != snapshot.tables() || self.views != Self::views_of(snapshot)? {
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
