//! Statements that do nothing, and statements that are never reached.

use rhai::{Expr, Position, Stmt};

use crate::diagnostic::{Diagnostic, Place};
use crate::script::check::walk::Walk;
use crate::script::check::word;

/// Looks at the statements of one block.
pub(super) fn check(walk: &mut Walk<'_>, statements: &[Stmt], top: bool) {
    let mut ended = false;
    for (index, statement) in statements.iter().enumerate() {
        if ended && !matches!(statement, Stmt::Noop(_)) {
            let found = Diagnostic::warning("script::unreachable", "this is never reached")
                .at(word(walk.source, statement.position()), "after the end of the block");
            let hint = "the statement before it leaves the block: put it first, or take one of them out";
            walk.find(found.hint(hint));
            break;
        }
        ended = matches!(statement, Stmt::Return(..) | Stmt::BreakLoop(..));
        let last = index + 1 == statements.len();
        if let Stmt::Expr(expression) = statement {
            without_effect(walk, expression, last && !top);
        }
    }
}

/// An expression that stands alone, and whether it may be the value of its block.
fn without_effect(walk: &mut Walk<'_>, expression: &Expr, value: bool) {
    let (end, what) = match end_of(expression) {
        Some(found) => found,
        None => return,
    };
    let place = word(walk.source, end);
    // The last one without a semicolon is what the block gives.
    let closed = walk.source.text[place.span.end..].trim_start().starts_with(';');
    if value && !closed {
        return;
    }
    let hint = match what {
        What::Comparison => "to set a variable, write `=`; to decide, write `if`".to_owned(),
        What::Property => {
            format!("to call it, write `{}(…)`", &walk.source.text[place.span.clone()])
        }
        What::Value => "take it out, or use it".to_owned(),
    };
    let start = match expression {
        Expr::Dot(pair, ..) => word(walk.source, pair.lhs.start_position()).span.start,
        _ => place.span.start,
    };
    let place = Place::new(walk.source, start.min(place.span.start)..place.span.end);
    walk.find(
        Diagnostic::warning("script::no_effect", "this statement does nothing")
            .at(place, "without effect")
            .hint(hint),
    );
}

enum What {
    Comparison,
    Property,
    Value,
}

/// Where the last word of an expression without effect stands; `None` for others.
fn end_of(expression: &Expr) -> Option<(Position, What)> {
    match expression {
        Expr::Dot(pair, ..) => match last(&pair.rhs) {
            Expr::Property(_, position) => Some((*position, What::Property)),
            _ => None,
        },
        Expr::Variable(_, _, position) => Some((*position, What::Value)),
        Expr::IntegerConstant(_, position) => Some((*position, What::Value)),
        Expr::FnCall(call, position) if ["==", "!="].contains(&call.name.as_str()) => {
            let _operator = position;
            match call.args.last() {
                Some(
                    Expr::IntegerConstant(_, end) | Expr::Variable(_, _, end) | Expr::BoolConstant(_, end),
                ) => Some((*end, What::Comparison)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn last(expression: &Expr) -> &Expr {
    match expression {
        Expr::Dot(pair, ..) => last(&pair.rhs),
        other => other,
    }
}
