//! A bar for whatever takes longer than a second.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reedbase::progress::{Progress, Work};

/// A bar on standard error, which is cleared when it is dropped.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    /// Dropped with the bar, which tells the thread that waits to show it.
    _ended: Sender<()>,
}

/// How long nothing is shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a bar moves though nothing was told.
const TICK: Duration = Duration::from_millis(100);

impl Bar {
    pub(crate) fn start(doing: &str, hidden: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(style("{spinner} {msg} {elapsed}"));
        bar.set_message(doing.to_owned());
        let (ended, wait) = channel();
        if !hidden {
            let shown = bar.clone();
            std::thread::spawn(move || {
                if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    shown.set_draw_target(ProgressDrawTarget::stderr());
                    shown.enable_steady_tick(TICK);
                }
            });
        }
        Self { bar, _ended: ended }
    }

    /// Whether it can be seen.
    pub(crate) fn is_shown(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Does something while the bar is not in the way.
    pub(crate) fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        self.bar.suspend(act)
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Bar {
    fn at(&self, work: Work, done: u64, all: u64) {
        if self.bar.length().is_none() {
            self.bar
                .set_style(style("{spinner} {msg} [{bar:30}] {percent}% {elapsed}, {eta} left"));
        }
        let doing = match work {
            Work::Write => "writing the table",
            Work::Pack => "packing",
            _ => "working",
        };
        if self.bar.message() != doing {
            self.bar.set_message(doing);
        }
        self.bar.set_length(all);
        self.bar.set_position(done.min(all));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
