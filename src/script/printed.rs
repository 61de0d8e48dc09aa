//! Values as text, as the language prints them, and never more of it than a script may have.
//!
//! Values share their parts: a few hundred bytes of maps of maps can be gigabytes of text. The language's own functions
//! build that text in one call that no limit can stop, so these take their place for everything that nests.

use std::fmt::Write as _;

use rhai::{Array, Dynamic, EvalAltResult, FnPtr, FuncRegistration, Map, Module, NativeCallContext};

use crate::script::budget::{self, Exceeded};
use crate::script::error::{Kind, Thrown};
use crate::script::host::set;
use crate::script::turn;
use crate::script::values;

/// Levels of a value that is shown as text.
const DEPTH: usize = 128;

type Checked<T> = Result<T, Box<EvalAltResult>>;

/// Registers `to_string`, `to_debug`, `print`, `debug` and `to_json` for everything that nests.
pub(super) fn register(module: &mut Module) {
    for name in ["to_string", "to_debug"] {
        text_of(module, name, |context: NativeCallContext, array: Array| {
            filled(|text| show_array(&context, &array, DEPTH, text))
        });
        text_of(module, name, |context: NativeCallContext, map: Map| {
            filled(|text| show_map(&context, &map, DEPTH, text))
        });
    }
    for name in ["print", "debug"] {
        set(module, name, |context: NativeCallContext, array: &mut Array| {
            whole(|text| show_array(&context, array, DEPTH, text))
        });
        set(module, name, |context: NativeCallContext, map: &mut Map| {
            whole(|text| show_map(&context, map, DEPTH, text))
        });
    }
    for name in ["to_string", "to_debug", "print", "debug"] {
        set(module, name, |function: &mut FnPtr| format!("Fn({})", function.fn_name()));
    }
    set(module, "to_json", |map: Map| -> Checked<String> {
        let json = values::to_json(&map.into()).map_err(|why| Thrown::new(Kind::Runtime, why))?;
        let limit = turn::string_limit();
        match values::written(&json) > limit {
            true => Err(too_long(limit).into()),
            false => Ok(json.to_string()),
        }
    });
}

/// The beginning of anything, at most `limit` bytes of it, with a mark where more would follow. What is left out is
/// not even built.
pub(super) fn cut(value: impl std::fmt::Display, limit: usize) -> String {
    let mut text = Text { text: String::new(), limit };
    if write!(text, "{value}").is_err() {
        text.text.push('…');
    }
    text.text
}

/// Registers a function that gives the text of a value, and never fails: where one does, or where the engine finds what
/// it was given too large, an interpolation shows the value by itself and without a limit. So it takes the value, and
/// leaves nothing that could be found too large.
fn text_of<A: 'static, const N: usize, const X: bool, R, const F: bool>(
    module: &mut Module,
    name: &str,
    function: impl rhai::RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
) where
    R: rhai::Variant + Clone,
{
    FuncRegistration::new(name).in_global_namespace().set_into_module(module, function);
}

/// A text that is too long ends the turn.
fn filled(show: impl FnOnce(&mut Text) -> std::fmt::Result) -> String {
    if budget::over().is_some() {
        return String::new();
    }
    let mut text = Text { text: String::new(), limit: turn::string_limit() };
    match show(&mut text) {
        Ok(()) => text.text,
        Err(_) => {
            budget::end(Exceeded::Text);
            String::new()
        }
    }
}

fn whole(show: impl FnOnce(&mut Text) -> std::fmt::Result) -> Checked<String> {
    let limit = turn::string_limit();
    let mut text = Text { text: String::new(), limit };
    match show(&mut text) {
        Ok(()) => Ok(text.text),
        Err(_) => Err(too_long(limit).into()),
    }
}

fn too_long(limit: usize) -> Thrown {
    Thrown::new(Kind::Size, format!("as text, this is longer than {limit} bytes"))
}

fn show(context: &NativeCallContext<'_>, value: &Dynamic, depth: usize, text: &mut Text) -> std::fmt::Result {
    if let Ok(array) = value.as_array_ref() {
        return show_array(context, &array, depth, text);
    }
    if let Ok(map) = value.as_map_ref() {
        return show_map(context, &map, depth, text);
    }
    if let Ok(string) = value.as_immutable_string_ref() {
        return write!(text, "{:?}", string.as_str());
    }
    if let Some(function) = value.read_lock::<FnPtr>() {
        return write!(text, "Fn({})", function.fn_name());
    }
    // Everything else is as long as what it holds.
    let shown = context.call_native_fn_raw("to_debug", true, &mut [&mut value.clone()]);
    match shown.map(Dynamic::into_immutable_string) {
        Ok(Ok(shown)) => text.write_str(&shown),
        Ok(Err(_)) | Err(_) => text.write_str(context.engine().map_type_name(value.type_name())),
    }
}

fn show_array(
    context: &NativeCallContext<'_>,
    array: &Array,
    depth: usize,
    text: &mut Text,
) -> std::fmt::Result {
    let depth = depth.checked_sub(1).ok_or(std::fmt::Error)?;
    text.write_str("[")?;
    for (at, item) in array.iter().enumerate() {
        text.write_str(if at == 0 { "" } else { ", " })?;
        show(context, item, depth, text)?;
    }
    text.write_str("]")
}

fn show_map(context: &NativeCallContext<'_>, map: &Map, depth: usize, text: &mut Text) -> std::fmt::Result {
    let depth = depth.checked_sub(1).ok_or(std::fmt::Error)?;
    text.write_str("#{")?;
    for (at, (key, item)) in map.iter().enumerate() {
        write!(text, "{}{key:?}: ", if at == 0 { "" } else { ", " })?;
        show(context, item, depth, text)?;
    }
    text.write_str("}")
}

/// A text of at most `limit` bytes; writing more fails and leaves the beginning.
struct Text {
    text: String,
    limit: usize,
}

impl std::fmt::Write for Text {
    fn write_str(&mut self, more: &str) -> std::fmt::Result {
        let left = self.limit.saturating_sub(self.text.len());
        if more.len() <= left {
            self.text.push_str(more);
            return Ok(());
        }
        let end = more.char_indices().map(|(at, _)| at).take_while(|at| *at <= left).last().unwrap_or(0);
        self.text.push_str(&more[..end]);
        Err(std::fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_while_it_is_written() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äöü", 3), "ä…");
        assert_eq!(cut("äöü", 0), "…");
        // 2^60 strings, if they were all written.
        let mut value = Dynamic::from("x");
        for _ in 0..60 {
            value = Dynamic::from_array(vec![value.clone().into_shared(), value.into_shared()]);
        }
        assert!(cut(&value, 100).len() <= 103);
    }
}
