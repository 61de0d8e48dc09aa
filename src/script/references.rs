//! What the values of a turn refer to: a text counts wherever it stands, however often that is.
//!
//! Memory does not tell: a few bytes for each of many references to one text. But a `switch` over such a map reads it
//! all, in one step that nothing can stop. So whenever a turn has grown, its variables are looked through.
//!
//! This is also where a turn ends whose budget is used up, for the engine knows the place of a variable.

use rhai::{Dynamic, EvalAltResult, EvalContext};

use crate::script::budget::{self, Exceeded};
use crate::script::error::ended;

/// Bytes that any value takes.
const VALUE: usize = 16;

/// Levels of calls: what [`crate::script::stack::STACK`] holds many times over.
pub(super) const CALL_LEVELS: usize = 32;

/// Looks through the variables in sight, if the turn has grown since the last time.
///
/// # Errors
/// Where they refer to more bytes than the turn may hold, where calls nest too deeply, or where the budget is used up.
/// A script that catches that is stopped behind.
pub(super) fn check(context: &EvalContext<'_, '_, '_, '_, '_, '_>) -> Result<(), Box<EvalAltResult>> {
    if context.call_level() > CALL_LEVELS {
        return Err(ended(budget::end(Exceeded::Depth)));
    }
    let Some(most) = budget::may_refer_to() else { return Ok(()) };
    if let Some(reason) = budget::over() {
        return Err(ended(reason));
    }
    let mut left = most;
    if context.scope().iter_raw().all(|(_, _, value)| take(value, &mut left)) {
        return Ok(());
    }
    Err(ended(budget::end(Exceeded::Memory)))
}

/// Takes the bytes of a value from `left`; false where there are too few.
fn take(value: &Dynamic, left: &mut usize) -> bool {
    let mut bytes = |bytes: usize| match left.checked_sub(bytes) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    };
    if !bytes(VALUE) {
        return false;
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return bytes(text.len());
    }
    if let Ok(array) = value.as_array_ref() {
        return array.iter().all(|item| take(item, left));
    }
    if let Ok(map) = value.as_map_ref() {
        return map.values().all(|item| take(item, left));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::error::Kind;
    use crate::script::tests::{Rig, message};

    #[test]
    fn a_text_counts_as_often_as_it_stands() {
        let text = Dynamic::from("x".repeat(100));
        let value = Dynamic::from_array(vec![text.clone(), Dynamic::from_array(vec![text])]);
        let bytes = 2 * 100 + 4 * VALUE;
        let mut left = bytes;
        assert!(take(&value, &mut left) && left == 0);
        assert!(!take(&value, &mut { bytes - 1 }));
    }

    #[test]
    fn what_is_nested_or_captured_is_seen() {
        let rig = Rig::new();
        let mut bot = rig.bot(
            r#"let kept = #{ a: #{} };
            on("message", |m| {
                let s = ""; s.pad(60000, 'x');
                let n = if m.text == "few" { 50 } else { 2000 };
                let other = "";
                for i in 0..n { kept.a["k" + i] = s; other += "y"; }
                m.reply("done");
            });"#,
        );
        assert_eq!(bot.ask("few"), ["done"]);
        assert_eq!(bot.fail(message("ann@example.org", "many")).kind, Kind::Memory);
    }
}
