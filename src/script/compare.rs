//! Comparing and sorting values: each step is charged to the turn, and nothing is copied to be looked at.
//!
//! Values share their texts: a few bytes of an array can be gigabytes to compare. The language's own functions do that
//! in one call that no limit can stop, and copy what they look for at each element; these take their place.

use std::cmp::Ordering;

use rhai::{Array, Dynamic, EvalAltResult, Map, Module, NativeCallContext};

use crate::script::budget;
use crate::script::error::{Kind, Thrown, ended};
use crate::script::host::set;
use crate::script::values;

/// Levels of a value that is compared.
const DEPTH: usize = 128;
/// Bytes of text that are compared for one operation.
const BLOCK: usize = 1_024;

type Checked<T> = Result<T, Box<EvalAltResult>>;

/// Adds them to `module`, which shadows the standard ones. `in` calls `contains`.
pub(super) fn register(module: &mut Module) {
    set(module, "==", |context: NativeCallContext, one: &mut Array, other: Array| {
        equal_arrays(&context, one, &other, DEPTH)
    });
    set(module, "!=", |context: NativeCallContext, one: &mut Array, other: Array| {
        equal_arrays(&context, one, &other, DEPTH).map(|equal| !equal)
    });
    set(module, "==", |context: NativeCallContext, one: &mut Map, other: Map| {
        equal_maps(&context, one, &other, DEPTH)
    });
    set(module, "!=", |context: NativeCallContext, one: &mut Map, other: Map| {
        equal_maps(&context, one, &other, DEPTH).map(|equal| !equal)
    });
    set(module, "contains", |context: NativeCallContext, array: &mut Array, value: Dynamic| {
        place(&context, array, &value, 0).map(|at| at >= 0)
    });
    set(module, "index_of", |context: NativeCallContext, array: &mut Array, value: Dynamic| {
        place(&context, array, &value, 0)
    });
    set(module, "index_of", |context: NativeCallContext, array: &mut Array, value: Dynamic, start: i64| {
        place(&context, array, &value, start)
    });
    set(module, "dedup", |context: NativeCallContext, array: &mut Array| dedup(&context, array));
    for (name, order) in [("sort", Ordering::Less), ("sort_desc", Ordering::Greater)] {
        set(module, name, move |array: &mut Array| {
            *array = sorted(array, order)?;
            Ok::<(), Box<EvalAltResult>>(())
        });
    }
    for (name, order) in [("order", Ordering::Less), ("order_desc", Ordering::Greater)] {
        set(module, name, move |array: &mut Array| sorted(array, order));
    }
}

/// Takes `operations` from the turn.
///
/// # Errors
/// Where the turn has used up its time, memory or operations; a script cannot catch that.
pub(super) fn charge(operations: u64) -> Checked<()> {
    match budget::spend_many(operations) {
        None => Ok(()),
        Some(exceeded) => Err(ended(exceeded)),
    }
}

fn charge_text(bytes: usize) -> Checked<()> {
    charge(1 + (bytes / BLOCK) as u64)
}

/// Whether two values are equal, as the language sees it: `1 == 1.0`, and values of different types are not.
///
/// # Errors
/// Where they nest too deeply, where both are of a type that has no `==`, or as [`charge`].
fn equal(context: &NativeCallContext<'_>, one: &Dynamic, other: &Dynamic, depth: usize) -> Checked<bool> {
    charge(1)?;
    match (one.as_array_ref(), other.as_array_ref()) {
        (Ok(one), Ok(other)) => return equal_arrays(context, &one, &other, depth),
        (Err(_), Err(_)) => {}
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => return Ok(false),
    }
    match (one.as_map_ref(), other.as_map_ref()) {
        (Ok(one), Ok(other)) => return equal_maps(context, &one, &other, depth),
        (Err(_), Err(_)) => {}
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => return Ok(false),
    }
    if let (Ok(one), Ok(other)) = (one.as_int(), other.as_int()) {
        return Ok(one == other);
    }
    if let (Ok(one), Ok(other)) = (one.as_immutable_string_ref(), other.as_immutable_string_ref()) {
        if one.len() != other.len() {
            return Ok(false);
        }
        charge_text(one.len())?;
        return Ok(*one == *other);
    }
    let called = context.call_native_fn_raw("==", true, &mut [&mut one.clone(), &mut other.clone()]);
    match called {
        Ok(verdict) => Ok(verdict.as_bool().unwrap_or(false)),
        Err(error) => match *error {
            EvalAltResult::ErrorFunctionNotFound(..) if one.type_id() != other.type_id() => Ok(false),
            _ => Err(error),
        },
    }
}

fn equal_arrays(
    context: &NativeCallContext<'_>,
    one: &[Dynamic],
    other: &[Dynamic],
    depth: usize,
) -> Checked<bool> {
    let depth = deeper(depth)?;
    if one.len() != other.len() {
        return Ok(false);
    }
    for (one, other) in one.iter().zip(other) {
        if !equal(context, one, other, depth)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn equal_maps(context: &NativeCallContext<'_>, one: &Map, other: &Map, depth: usize) -> Checked<bool> {
    let depth = deeper(depth)?;
    if one.len() != other.len() {
        return Ok(false);
    }
    // Both are in the order of their keys.
    for ((key, one), (other_key, other)) in one.iter().zip(other) {
        charge_text(key.len())?;
        if key != other_key || !equal(context, one, other, depth)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn deeper(depth: usize) -> Result<usize, Thrown> {
    depth.checked_sub(1).ok_or_else(|| {
        Thrown::new(Kind::Size, format!("values that nest more than {DEPTH} levels deep cannot be compared"))
    })
}

/// The first place of `value` at or behind `start`, which counts from the end where it is negative; -1 for none.
fn place(context: &NativeCallContext<'_>, array: &[Dynamic], value: &Dynamic, start: i64) -> Checked<i64> {
    let from = match usize::try_from(start) {
        Ok(from) => from,
        Err(_) => array.len().saturating_sub(usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    for (at, item) in array.iter().enumerate().skip(from) {
        if equal(context, item, value, DEPTH)? {
            return Ok(i64::try_from(at).unwrap_or(i64::MAX));
        }
    }
    Ok(-1)
}

/// Leaves one of neighbours that are equal.
fn dedup(context: &NativeCallContext<'_>, array: &mut Array) -> Checked<()> {
    let mut failed = None;
    array.dedup_by(|one, other| {
        if failed.is_some() {
            return false;
        }
        equal(context, one, other, DEPTH).unwrap_or_else(|error| {
            failed = Some(error);
            false
        })
    });
    failed.map_or(Ok(()), Err)
}

/// The values in rising or falling order; equal ones stay as they were.
fn sorted(items: &[Dynamic], order: Ordering) -> Checked<Array> {
    let Some(first) = items.first().filter(|_| items.len() > 1) else { return Ok(items.to_vec()) };
    if items.iter().any(|item| item.type_id() != first.type_id()) {
        let hint = "give a comparer, for example `a.sort(|x, y| x.size - y.size)`";
        return Err(Thrown::new(Kind::Runtime, "values of different types cannot be sorted")
            .hint(hint)
            .into());
    }
    if rank(first, first).is_none() {
        let message = format!("a {} has no order", values::kind(first));
        let hint = "give a comparer, for example `a.sort(|x, y| x.size - y.size)`";
        return Err(Thrown::new(Kind::Runtime, message).hint(hint).into());
    }
    merged(items, &mut |one, other| {
        let texts = (one.as_immutable_string_ref(), other.as_immutable_string_ref());
        match texts {
            (Ok(one), Ok(other)) => charge_text(one.len().min(other.len()))?,
            (Ok(_) | Err(_), _) => charge(1)?,
        }
        // `NaN` is neither before nor behind anything.
        let rank = rank(one, other).unwrap_or(Ordering::Equal);
        Ok(rank != Ordering::Equal && rank != order)
    })
}

/// How two values of one type are ordered, if that type has an order.
fn rank(one: &Dynamic, other: &Dynamic) -> Option<Ordering> {
    if let (Ok(one), Ok(other)) = (one.as_int(), other.as_int()) {
        return Some(one.cmp(&other));
    }
    if let (Ok(one), Ok(other)) = (one.as_float(), other.as_float()) {
        return Some(one.partial_cmp(&other).unwrap_or(Ordering::Equal));
    }
    if let (Ok(one), Ok(other)) = (one.as_immutable_string_ref(), other.as_immutable_string_ref()) {
        return Some(one.as_str().cmp(other.as_str()));
    }
    if let (Ok(one), Ok(other)) = (one.as_char(), other.as_char()) {
        return Some(one.cmp(&other));
    }
    if let (Ok(one), Ok(other)) = (one.as_bool(), other.as_bool()) {
        return Some(one.cmp(&other));
    }
    (one.is_unit() && other.is_unit()).then_some(Ordering::Equal)
}

/// Sorts by merging, from runs of one upwards, by what says whether the one belongs behind the other. One that
/// contradicts itself gives some order; one that fails ends it.
pub(super) fn merged(
    items: &[Dynamic],
    is_after: &mut dyn FnMut(&Dynamic, &Dynamic) -> Checked<bool>,
) -> Checked<Array> {
    let mut from: Array = items.to_vec();
    let mut width = 1;
    while width < from.len() {
        let mut to = Array::with_capacity(from.len());
        for pair in from.chunks(2 * width) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            merge(left, right, is_after, &mut to)?;
        }
        from = to;
        width *= 2;
    }
    Ok(from)
}

fn merge(
    mut left: &[Dynamic],
    mut right: &[Dynamic],
    is_after: &mut dyn FnMut(&Dynamic, &Dynamic) -> Checked<bool>,
    to: &mut Array,
) -> Checked<()> {
    while let ([first, rest @ ..], [other, others @ ..]) = (left, right) {
        // Equal ones stay as they were: the right one goes first only where it is smaller.
        if is_after(first, other)? {
            to.push(other.clone());
            right = others;
        } else {
            to.push(first.clone());
            left = rest;
        }
    }
    to.extend_from_slice(left);
    to.extend_from_slice(right);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::script::error::Kind;
    use crate::script::tests::{Rig, message};

    fn says(source: &str) -> Vec<String> {
        let rig = Rig::new();
        let mut bot = rig.bot(&format!("on(\"message\", |m| {{ {source} }});"));
        bot.ask("x")
    }

    #[test]
    fn values_are_equal_as_the_language_sees_it() {
        let said = says(
            r#"
            let all = [
                [1, [2, #{ a: "x" }]] == [1, [2, #{ a: "x" }]],
                [1, 2.0, 'c', true, ()] == [1.0, 2, 'c', true, ()],
                #{ a: 1, b: [] } == #{ b: [], a: 1 },
                [] == [], #{} == #{}, [1] != [2], #{ a: 1 } != #{ b: 1 }, [1] != [1, 2],
                [1] != ["1"], [[]] != [#{}], [time::now()] != [()],
                2 in [1, 2], !("2" in [1, 2]), #{ a: 1 } in [[], #{ a: 1 }], [1, [2]].contains([2]),
                ["a", "b", "a"].index_of("a", 1) == 2, ["a", "b"].index_of("a", -1) == -1,
                ["a", "b"].index_of("b", -9) == 1, ["a"].index_of("a", 5) == -1, [1].index_of(2) == -1,
                [1, 2, 3].index_of(|x| x > 1) == 1
            ];
            m.reply(`${all.len()} ${all.index_of(false)}`);
            "#,
        );
        assert_eq!(said, ["21 -1"]);
    }

    #[test]
    fn values_of_one_type_are_sorted_and_neighbours_made_one() {
        let said = says(
            r#"
            let a = [3, 1, 2]; a.sort();
            let d = ["b", "a", "c"]; d.sort_desc();
            let e = [1, 1, 1.0, "1", [1], [1], 2, 1]; e.dedup();
            m.reply(`${a} ${d} ${[2.5, -1.0].order()} ${['b', 'a'].order_desc()} ${[true, false].order()} ${[(), ()].order()} ${e}`);
            "#,
        );
        let expected =
            r#"[1, 2, 3] ["c", "b", "a"] [-1.0, 2.5] [b, a] [false, true] [(), ()] [1, "1", [1], 2, 1]"#;
        assert_eq!(said, [expected]);
    }

    #[test]
    fn what_has_no_order_or_nests_too_deeply_is_refused() {
        let rig = Rig::new();
        let mut bot = rig.bot(
            r#"on("message", |m| switch m.text {
                "mixed" => [1, "a"].sort(),
                "maps" => [#{}, #{}].sort(),
                "functions" => [|x| x] == [|x| x],
                "deep" => { let a = []; for i in 0..200 { a = [a]; } a == a }
            });"#,
        );
        for (text, kind, expected) in [
            ("mixed", Kind::Runtime, "values of different types cannot be sorted"),
            ("maps", Kind::Runtime, "a map has no order"),
            ("functions", Kind::Runtime, "unknown function `==` for (Fn, Fn)"),
            ("deep", Kind::Size, "values that nest more than 128 levels deep cannot be compared"),
        ] {
            let failure = bot.fail(message("ann@example.org", text));
            assert_eq!((failure.kind, failure.message.as_str()), (kind, expected));
        }
    }
}
