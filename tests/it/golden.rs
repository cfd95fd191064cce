use std::sync::Arc;

use reedbase::storage::MemoryStorage;

use crate::script::{Interpreter, check, error_text, scripts};

#[test]
fn scripts_print_what_they_should() {
    for (name, text, path) in scripts("scripts") {
        let mut interpreter = Interpreter::new(Arc::new(MemoryStorage::new()));
        check(&name, &text, &path, |command| match interpreter.run(command) {
            Ok(output) => output,
            Err(error) => error_text(&error),
        });
    }
}
