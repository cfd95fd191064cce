//! Calls that are under way: who asks for the result of one waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use reedbase_plugin_api::{Error, Result};

use super::call::function_of;

/// The calls that are under way.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Box<[u8]>, Arc<Flight>>>);

/// A call that is under way.
#[derive(Debug)]
struct Flight {
    thread: ThreadId,
    landed: Mutex<bool>,
    landing: Condvar,
}

/// A call that the holder makes.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    flights: &'a Flights,
    call: &'a [u8],
}

impl Flights {
    fn open(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Arc<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call; `None` if somebody else was making it, who is done now.
    ///
    /// # Errors
    /// [`Usage`](reedbase_plugin_api::ErrorKind::Usage) if this thread is making it: that would never end.
    pub(super) fn begin<'a>(&'a self, call: &'a [u8]) -> Result<Option<Turn<'a>>> {
        let flight = {
            let mut open = self.open();
            let Some(flight) = open.get(call) else {
                let flight = Flight {
                    thread: thread::current().id(),
                    landed: Mutex::new(false),
                    landing: Condvar::new(),
                };
                open.insert(call.into(), Arc::new(flight));
                return Ok(Some(Turn { flights: self, call }));
            };
            Arc::clone(flight)
        };
        if flight.thread == thread::current().id() {
            let name = function_of(call);
            return Err(Error::usage(format!("`{name}` calls itself with what it was given"))
                .help("that would never end: let it call itself with something else"));
        }
        let mut landed = flight.landed.lock().unwrap_or_else(PoisonError::into_inner);
        while !*landed {
            landed = flight.landing.wait(landed).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(None)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(flight) = self.flights.open().remove(self.call) {
            *flight.landed.lock().unwrap_or_else(PoisonError::into_inner) = true;
            flight.landing.notify_all();
        }
    }
}
