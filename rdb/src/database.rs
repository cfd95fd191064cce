//! The database as a program opens it: the kernel's, and the plugins that queries need.

use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use reedbase_kernel::Limits;
use reedbase_kernel::clock::Clock;
use reedbase_kernel::database as kernel;
use reedbase_kernel::database::Checkpoints;
use reedbase_kernel::host::{DatabaseHost, IndexStat};
use reedbase_kernel::progress::Progress;
use reedbase_kernel::storage::Storage;
use reedbase_plugin_api::{Dialect, Function, Host, IndexSpec, MergeDriver, Params, Result};
use reedbase_plugin_filter as filter;
use reedbase_plugin_reedql::ReedQl;
use serde::de::DeserializeOwned;

use crate::dialect::DialectSession;
use crate::plugins;
use crate::rows::{QueryRow, QueryRows};
use crate::session::{Prepared, Session};

/// A database: one folder. Cheap to clone, and shared by threads; other processes may have the same folder open.
///
/// Everything that the kernel's handle does, this one does too; besides, it answers queries.
#[derive(Debug, Clone)]
pub struct Database {
    pub(crate) kernel: kernel::Database,
    pub(crate) queries: Arc<Queries>,
}

/// What clones of a handle share for queries.
pub(crate) struct Queries {
    /// The database as plugins see it, with its indices.
    pub(crate) host: Arc<DatabaseHost>,
    /// The program's own functions.
    own: Arc<[Function]>,
    /// Sessions that nobody uses right now.
    idle: Mutex<Vec<Session>>,
}

impl std::fmt::Debug for Queries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queries").finish_non_exhaustive()
    }
}

/// At most this many sessions wait for the next query.
const IDLE_MAX: usize = 8;

impl Deref for Database {
    type Target = kernel::Database;

    fn deref(&self) -> &kernel::Database {
        &self.kernel
    }
}

impl From<kernel::Database> for Database {
    fn from(kernel: kernel::Database) -> Self {
        Self::with_functions(kernel, Arc::default())
    }
}

impl Database {
    fn with_functions(kernel: kernel::Database, own: Arc<[Function]>) -> Self {
        let host = Arc::new(DatabaseHost::new(kernel.clone(), plugins::linked(&own)));
        Self { kernel, queries: Arc::new(Queries { host, own, idle: Mutex::default() }) }
    }

    /// The same, by another handle of the kernel's.
    pub(crate) fn by(&self, kernel: kernel::Database) -> Self {
        let host = Arc::new(self.queries.host.by(kernel.clone()));
        let own = Arc::clone(&self.queries.own);
        Self { kernel, queries: Arc::new(Queries { host, own, idle: Mutex::default() }) }
    }

    /// Opens the database in this folder.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if the folder is no database, [`NewerFormat`](crate::ErrorKind::NewerFormat), or
    /// [`Corrupt`](crate::ErrorKind::Corrupt) with the damaged file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        kernel::Database::open(path).map(Self::from)
    }

    /// Makes an empty database in this folder, and opens it.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if there is one, or those of the file system.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        kernel::Database::create(path).map(Self::from)
    }

    /// A handle that shows the database as an open frame left it, and whose transactions are steps of that frame.
    ///
    /// # Errors
    /// Those of the kernel's [`in_frame`](kernel::Database::in_frame).
    pub fn in_frame(&self, frame: &str) -> Result<Self> {
        let own = Arc::clone(&self.queries.own);
        self.kernel.in_frame(frame).map(|kernel| Self::with_functions(kernel, own))
    }

    /// A session: a connection of one's own, for several statements.
    ///
    /// # Errors
    /// Those of the query engine.
    pub fn session(&self) -> Result<Session> {
        let host: Arc<dyn Host> = Arc::clone(&self.queries.host) as _;
        let engine = ReedQl.session(Arc::clone(&host))?;
        Ok(Session::new(DialectSession::new(host, engine)))
    }

    /// A session in another dialect: `tissql`, `filter`, or `reedql` itself. [ReedQL and the others](https://github.com/reedbase/reedbase/blob/main/docs/reedql.md).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) with the nearest name; those of the query engine.
    pub fn session_in(&self, dialect: &str) -> Result<Session> {
        let mut session = self.session()?;
        session.set_dialect(dialect)?;
        Ok(session)
    }

    /// Asks one question in another dialect. Cost: that of a session; who asks more than once opens one.
    ///
    /// # Errors
    /// Those of [`session_in`](Self::session_in) and [`query`](Self::query).
    pub fn query_in(
        &self,
        dialect: &str,
        text: &str,
        params: impl Into<Params>,
    ) -> Result<QueryRows> {
        self.session_in(dialect)?.query(text, params)
    }

    /// What a question finds in a table that was put together with [`filter`](crate::filter).
    ///
    /// ```
    /// use reedbase::filter::{Filter, Order, Query};
    /// # fn main() -> reedbase::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("reedbase-find-{}", std::process::id()));
    /// # let db = reedbase::Database::create(&folder)?;
    /// # let mut tx = db.begin()?;
    /// # tx.create_table("users", &reedbase::csv("id,name,age\n1,Ann,41\n2,Bob,17\n3,Cy,33\n", &["id"])?)?;
    /// # tx.commit()?;
    /// let query = Query::new().filter(Filter::gt("age", 30)).sort_by("name", Order::Ascending).limit(10);
    /// let names: Vec<String> = db.find("users", &query.fields(["name"]))?.typed()?;
    /// assert_eq!(names, ["Ann", "Cy"]);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the table or a column; [`InvalidInput`](crate::ErrorKind::InvalidInput) for
    /// what does not go together.
    pub fn find(&self, table: &str, query: &filter::Query) -> Result<QueryRows> {
        self.with_session(|session| session.find(table, query))
    }

    /// Writes down an index of a table; its entries are gathered when they are first needed.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the table, a column or the kind,
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) for the name, or for two rows with the same values where the index is
    /// to be unique.
    pub fn create_index(&self, table: &str, index: &IndexSpec) -> Result<()> {
        let mut writer = self.queries.host.begin()?;
        writer.create_index(table, index)?;
        writer.commit().map(drop)
    }

    /// Drops an index; the rows stay as they are.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) with the nearest name.
    pub fn drop_index(&self, name: &str) -> Result<()> {
        let mut writer = self.queries.host.begin()?;
        writer.drop_index(name)?;
        writer.commit().map(drop)
    }

    /// What an index takes; it is made if need be.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) with the nearest name, or those of reading the table.
    pub fn index_stat(&self, name: &str) -> Result<IndexStat> {
        self.queries.host.index_stat(name)
    }

    /// Makes an index anew, of the rows alone. Cost: about 0.5 µs a row.
    ///
    /// # Errors
    /// Those of [`index_stat`](Self::index_stat).
    pub fn rebuild_index(&self, name: &str) -> Result<IndexStat> {
        self.queries.host.rebuild_index(name)
    }

    /// Asks one question in ReedQL, which is SQL, and gives all its rows.
    ///
    /// # Errors
    /// What is wrong with the text, with line and character, or with what it does.
    pub fn query(&self, text: &str, params: impl Into<Params>) -> Result<QueryRows> {
        self.with_session(|session| session.query(text, params))
    }

    /// The rows of an answer as a type of the caller's, through serde: a struct takes columns by their names, a tuple or a
    /// single value by their order.
    ///
    /// # Errors
    /// Those of [`query`](Self::query); a value that does not fit, with its column.
    pub fn query_as<T: DeserializeOwned>(
        &self,
        text: &str,
        params: impl Into<Params>,
    ) -> Result<Vec<T>> {
        self.with_session(|session| session.query_as(text, params))
    }

    /// Looks at a text once, so that it can be run many times: what is wrong with it is told now.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn prepare(&self, text: &str) -> Result<Prepared> {
        self.with_session(|session| session.prepare(text))
    }

    /// The first row of an answer; `None` if there is none.
    ///
    /// # Errors
    /// Those of [`query`](Self::query).
    pub fn query_one(&self, text: &str, params: impl Into<Params>) -> Result<Option<QueryRow>> {
        self.with_session(|session| session.query_one(text, params))
    }

    /// Does something with a session that waits, or with a new one.
    fn with_session<T>(&self, act: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let idle = || self.queries.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let known = idle().pop();
        let mut session = match known {
            Some(session) => session,
            None => self.session()?,
        };
        let done = act(&mut session);
        if !session.in_transaction() {
            let mut idle = idle();
            if idle.len() < IDLE_MAX {
                idle.push(session);
            }
        }
        done
    }
}

/// How to open a database.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    kernel: kernel::OpenOptions,
    functions: Vec<Function>,
}

impl OpenOptions {
    /// As [`Database::open`] does it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses this storage instead of the folder.
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.kernel = self.kernel.storage(storage);
        self
    }

    /// Uses this clock instead of the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.kernel = self.kernel.clock(clock);
        self
    }

    /// Who makes the frames.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.kernel = self.kernel.user(user);
        self
    }

    /// Makes the database if there is none.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.kernel = self.kernel.create(create);
        self
    }

    /// Does not open the database while there are frames whose programs died and that nobody has cleaned up: for programs
    /// that must not go on before somebody has looked.
    #[must_use]
    pub fn abort_on_crashed(mut self, abort: bool) -> Self {
        self.kernel = self.kernel.abort_on_crashed(abort);
        self
    }

    /// When the files of tables follow what was committed; in the background if nothing is said.
    #[must_use]
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.kernel = self.kernel.checkpoints(checkpoints);
        self
    }

    /// Tells this one how far long work has come.
    #[must_use]
    pub fn progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.kernel = self.kernel.progress(progress);
        self
    }

    /// Adds a driver that decides cells which two sides changed, for columns that ask for it by its id.
    #[must_use]
    pub fn merge_driver(mut self, driver: Arc<dyn MergeDriver>) -> Self {
        self.kernel = self.kernel.merge_driver(driver);
        self
    }

    /// Adds a function that queries may call. The functions of SQLite, and those of plugins, keep their meaning: a name that
    /// they have is refused when the first query is asked.
    ///
    /// ```
    /// # use reedbase::{Function, OpenOptions};
    /// let options = OpenOptions::new().function(Function::of_text("shout", |text| text.to_uppercase() + "!"));
    /// ```
    #[must_use]
    pub fn function(mut self, function: Function) -> Self {
        self.functions.push(function);
        self
    }

    /// Changes the sizes at which the kernel changes its ways; meant for tests.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.kernel = self.kernel.limits(limits);
        self
    }

    /// Opens the database in this folder.
    ///
    /// # Errors
    /// Those of [`Database::open`]; [`ServerStartAborted`](crate::ErrorKind::ServerStartAborted) if that was asked for.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Database> {
        let kernel = self.kernel.open(path)?;
        Ok(Database::with_functions(kernel, self.functions.into()))
    }
}
