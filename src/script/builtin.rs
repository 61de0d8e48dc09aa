//! Functions of the standard package in a form that a script cannot turn against the process.

use std::collections::BTreeMap;
use std::io::Write;

use rhai::{Array, Dynamic, EvalAltResult, FnPtr, Map, Module, NativeCallContext};

use crate::script::budget;
use crate::script::compare::merged;
use crate::script::error::{Kind, Thrown};
use crate::script::host::set;
use crate::script::turn;

type Checked<T> = Result<T, Box<EvalAltResult>>;

/// Adds them to `module`, which shadows the standard ones.
pub(super) fn register(module: &mut Module) {
    for name in ["sort", "sort_by"] {
        set(module, name, |context: NativeCallContext, array: &mut Array, comparer: FnPtr| {
            *array = sorted(&context, array, &comparer)?;
            Ok::<(), Box<EvalAltResult>>(())
        });
    }
    for name in ["order", "order_by"] {
        set(module, name, |context: NativeCallContext, array: &mut Array, comparer: FnPtr| {
            sorted(&context, array, &comparer)
        });
    }
    set(module, "to_json", |map: &mut Map| json(map));
}

/// Sorts by a comparer of the script: one that contradicts itself gives some order, where the standard function panics,
/// and one that fails ends it, where the standard one goes on.
fn sorted(context: &NativeCallContext<'_>, items: &[Dynamic], comparer: &FnPtr) -> Checked<Array> {
    merged(items, &mut |one, other| is_after(context, one, other, comparer))
}

/// Whether `one` belongs behind `other`, by a comparer that gives a number, or `true` for "in order".
fn is_after(
    context: &NativeCallContext<'_>,
    one: &Dynamic,
    other: &Dynamic,
    comparer: &FnPtr,
) -> Checked<bool> {
    let verdict = comparer.call_raw(context, None, [one.clone(), other.clone()])?;
    match (verdict.as_int(), verdict.as_bool()) {
        (Ok(number), _) => Ok(number > 0),
        (_, Ok(in_order)) => Ok(!in_order),
        _ => {
            let message = format!("a comparer gives an int or a bool, not a `{}`", verdict.type_name());
            let hint = "for example `|a, b| a - b`";
            Err(Thrown::new(Kind::Runtime, message).hint(hint).into())
        }
    }
}

/// A map as JSON, as long as a string may be: one text behind many keys would become gigabytes in one call.
fn json(map: &Map) -> Checked<String> {
    let limit = turn::string_limit().min(budget::memory_left());
    let mut text = Bounded { bytes: Vec::new(), limit };
    let entries: BTreeMap<&str, &Dynamic> = map.iter().map(|(key, value)| (key.as_str(), value)).collect();
    match serde_json::to_writer(&mut text, &entries) {
        Ok(()) => Ok(String::from_utf8_lossy(&text.bytes).into_owned()),
        Err(error) if error.is_io() => {
            Err(Thrown::new(Kind::Size, format!("the map is more than {limit} bytes of JSON")).into())
        }
        Err(error) => Err(Thrown::new(Kind::Runtime, format!("the map is no JSON: {error}")).into()),
    }
}

struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::script::error::Kind;
    use crate::script::tests::{Rig, message};

    #[test]
    fn sorting_is_stable_and_takes_numbers_and_bools() {
        let rig = Rig::new();
        let mut bot = rig.bot(
            r#"on("message", |m| {
                let a = [[3, 0], [1, 1], [2, 2], [1, 3], [3, 4], [0, 5], [2, 6]];
                a.sort(|x, y| x[0] - y[0]);
                m.reply(join(a.map(|x| x[1]), " "));
                m.reply(join([3, 1, 2].order_by(|x, y| x > y), " "));
                let one = [1]; one.sort(|x, y| { throw "not asked"; });
                m.reply(join([].order_by(|x, y| 0), " ") + "none");
                let kept = [2, 1];
                kept.order_by(|x, y| x - y);
                m.reply(join(kept, " "));
            });"#,
        );
        assert_eq!(bot.ask("x"), ["5 1 3 2 6 0 4", "3 2 1", "none", "2 1"]);
    }

    #[test]
    fn what_a_comparer_throws_comes_out() {
        let rig = Rig::new();
        let mut bot = rig.bot(
            r#"on("message", |m| {
                let a = [2, 1];
                if m.text == "word" { a.sort(|x, y| "no"); }
                a.sort(|x, y| { throw "mine"; });
            });"#,
        );
        let failure = bot.fail(message("ann@example.org", "x"));
        assert_eq!((failure.kind, failure.message.as_str()), (Kind::Runtime, "mine"));
        let failure = bot.fail(message("ann@example.org", "word"));
        assert_eq!(failure.message, "a comparer gives an int or a bool, not a `string`");
    }

    #[test]
    fn json_of_a_map_is_as_long_as_a_string_may_be() {
        let rig = Rig::new();
        let mut bot = rig.bot(
            r#"on("message", |m| {
                m.reply(#{ b: [1, 2.5, true], a: "q\"", c: () }.to_json());
                if m.text == "large" { let s = ""; s.pad(40000, '"'); #{ a: s }.to_json(); }
            });"#,
        );
        assert_eq!(bot.ask("x"), [r#"{"a":"q\"","b":[1,2.5,true],"c":null}"#]);
        assert_eq!(bot.fail(message("ann@example.org", "large")).kind, Kind::Size);
    }
}
