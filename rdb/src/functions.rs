//! Functions, called from Rust; and results of a program's own functions, which are kept.

use reedbase_kernel::results::{Call, FunctionStat};
use reedbase_plugin_api::{
    CachedFunction, Error, Function, FunctionBody, Result, Value, ValueRef, nearest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::database::Database;

/// A call of a function whose results are kept: the function, and what it is given.
#[derive(Debug, Clone)]
pub struct CachedCall<'a> {
    function: &'a CachedFunction<'a>,
    call: Call,
}

impl<'a> CachedCall<'a> {
    /// A call with these values. Values that serde writes alike are the same call; a `HashMap` may be written in another
    /// order each time.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for values that serde cannot write.
    pub fn of(function: &'a CachedFunction<'a>, values: &impl Serialize) -> Result<Self> {
        let mut call = Call::of(function);
        rmp_serde::encode::write(call.input(), values).map_err(|error| {
            let message = format!("what `{}` is given cannot be written", function.name());
            Error::invalid(message).caused_by(error)
        })?;
        Ok(Self { function, call })
    }
}

impl Database {
    /// The result of a call: one that is kept and holds, or the one that `compute` gives. It is given a handle that notes what
    /// it reads: the result holds until one of those tables changes, or its time is over. The attribute
    /// [`cached`](macro@crate::cached) writes this for a whole function.
    ///
    /// ```
    /// use reedbase::{CachedCall, CachedFunction, Database};
    ///
    /// # fn main() -> reedbase::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("reedbase-cached-{}", std::process::id()));
    /// # let db = Database::create(&folder)?;
    /// const SQUARE: CachedFunction<'_> = CachedFunction::new("example::square");
    /// let square = |n: i64| db.cached(CachedCall::of(&SQUARE, &n)?, |_| Ok::<_, reedbase::Error>(n * n));
    /// assert_eq!((square(7)?, square(7)?), (49, 49));
    /// assert_eq!(db.function_stats()?[0].hits, 1);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What this process commits counts at once; what others commit at the next tick of the clock, within
    /// some milliseconds, or as soon as anything here reads.
    /// Through a handle that shows an open frame nothing is kept, and `compute` is called each time. Cost of a hit: about 0.2 µs
    /// and what serde takes for the values and the result.
    ///
    /// # Errors
    /// Those of `compute`; [`InvalidInput`](crate::ErrorKind::InvalidInput) for a result that serde cannot write.
    pub fn cached<T, E>(
        &self,
        call: CachedCall<'_>,
        compute: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<Error>,
    {
        let Some(results) = self.queries.host.results() else { return compute(self) };
        let CachedCall { function, call } = call;
        let (mut compute, mut fresh) = (Some(compute), None);
        let mut ask = || {
            let found = results.call::<E>(function, &call, self.kernel.reads(), |kernel| {
                let again = || Error::internal("a call computes once");
                let result = compute.take().ok_or_else(again)?(&self.by(kernel))?;
                let bytes = written(function, &result)?;
                fresh = Some(result);
                Ok(bytes.into())
            })?;
            let kept = || rmp_serde::from_slice(&found);
            Ok::<_, E>(fresh.take().map_or_else(kept, Ok))
        };
        if let Ok(result) = ask()? {
            return Ok(result);
        }
        // It was kept by a program in which the type of the result was another.
        results.forget(&call);
        ask()?.map_err(|error| {
            let message = format!("`{}` gives results of several types", function.name());
            Error::invalid(message).caused_by(error).into()
        })
    }

    /// Keeps the result of a call that was computed elsewhere. It holds for its time, and until a table changes that the
    /// function names.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for such a table; [`InvalidInput`](crate::ErrorKind::InvalidInput) for a result
    /// that serde cannot write.
    pub fn put_cached(&self, call: CachedCall<'_>, result: &impl Serialize) -> Result<()> {
        let Some(results) = self.queries.host.results() else { return Ok(()) };
        results.put(call.function, &call.call, written(call.function, result)?.into())
    }

    /// Forgets the results of a function by its name, or of all.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn clear_cached(&self, function: Option<&str>) -> Result<()> {
        self.queries.host.results().map_or(Ok(()), |results| results.clear(function))
    }

    /// What is kept of each function, by name, and how often it was asked for: also what `cache/functions` says of functions
    /// that this program did not call.
    ///
    /// # Errors
    /// Those of reading the journal.
    pub fn function_stats(&self) -> Result<Vec<FunctionStat>> {
        self.queries.host.results().map_or_else(|| Ok(Vec::new()), |results| results.stats())
    }

    /// The functions that queries can call besides SQLite's own.
    pub fn functions(&self) -> &[Function] {
        self.queries.host.known_functions()
    }

    /// Calls a function that queries can call: one of a plugin, or one of the program's own.
    ///
    /// ```
    /// # fn main() -> reedbase::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("reedbase-call-{}", std::process::id()));
    /// # let db = reedbase::Database::create(&folder)?;
    /// assert_eq!(db.call("text_slugify", ["Hello, World!"])?, "hello-world".into());
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) with the nearest name; [`Usage`](crate::ErrorKind::Usage) for one that takes
    /// rows, or another number of values; those of the function.
    pub fn call<V: Into<Value>>(
        &self,
        function: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Value> {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        let values: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        let known = self.functions();
        let Some(found) = known.iter().find(|known| known.name().eq_ignore_ascii_case(function))
        else {
            let error = Error::not_found(format!("there is no function `{function}`"));
            let names = known.iter().map(|known| known.name());
            return Err(nearest(error, "function", function, names));
        };
        found.check(values.len())?;
        match found.body() {
            FunctionBody::Scalar(act) => act(&values),
            _ => Err(Error::usage(format!("`{function}` is no function of values"))
                .help("use it in a query")),
        }
    }
}

fn written(function: &CachedFunction<'_>, result: &impl Serialize) -> Result<Vec<u8>> {
    rmp_serde::to_vec_named(result).map_err(|error| {
        let message = format!("what `{}` gives cannot be written", function.name());
        Error::invalid(message).caused_by(error)
    })
}
