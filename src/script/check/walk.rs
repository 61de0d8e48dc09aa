//! One walk through a program, in the order in which names come into being, that asks the checks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rhai::{ASTFlags, Expr, FnCallExpr, FnPtr, Position, Stmt};

use crate::diagnostic::{Diagnostic, Source};
use crate::script::check::links::Facts;
use crate::script::check::natives::Natives;
use crate::script::check::program::{Function, Program};
use crate::script::check::types::Type;
use crate::script::check::{Offered, blocks, calls, links, options, strings, variables};

/// A name that can be used.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub name: String,
    pub holds: Type,
    /// Whether it is a `let` of the top level.
    pub global_let: bool,
}

/// The walk, and what the checks need to know.
pub(super) struct Walk<'a> {
    pub natives: &'a Natives,
    pub modules: &'a BTreeMap<String, Option<Offered>>,
    pub program: &'a Program,
    pub source: &'a Arc<Source>,
    /// Names by which modules were imported, with the module.
    pub aliases: BTreeMap<String, Option<String>>,
    /// Names of the top level with their places: `let` and `const`.
    pub globals: BTreeMap<String, Position>,
    /// Names that can be used here, the innermost last.
    pub scope: Vec<Binding>,
    /// How many closures deep: what is changed there lives on until the script is replaced.
    pub closures: usize,
    /// Whether this is the body of a `fn`, which sees nothing of the top level.
    pub function: bool,
    pub facts: Facts,
    /// Variables that were told to be lost.
    pub lost: BTreeSet<String>,
    walked: BTreeSet<String>,
    found: Vec<Diagnostic>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        natives: &'a Natives,
        modules: &'a BTreeMap<String, Option<Offered>>,
        program: &'a Program,
        source: &'a Arc<Source>,
    ) -> Self {
        let mut globals = BTreeMap::new();
        let mut aliases = BTreeMap::new();
        for statement in &program.top {
            match statement {
                Stmt::Var(var, ..) => drop(globals.insert(var.0.name.to_string(), var.0.pos)),
                Stmt::Import(import, _) => {
                    let module = match &import.0 {
                        Expr::StringConstant(name, _) => Some(name.to_string()),
                        _ => None,
                    };
                    aliases.insert(import.1.name.to_string(), module);
                }
                _ => {}
            }
        }
        Self {
            natives,
            modules,
            program,
            source,
            aliases,
            globals,
            scope: Vec::new(),
            closures: 0,
            function: false,
            facts: Facts::default(),
            lost: BTreeSet::new(),
            walked: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    /// Walks through everything.
    pub(super) fn run(&mut self) {
        blocks::check(self, &self.program.top, true);
        for statement in &self.program.top {
            self.statement(statement, true);
        }
        self.function = true;
        for name in self.program.named() {
            for function in &self.program.functions[name] {
                self.scope.clear();
                self.body(
                    function,
                    function.params.iter().map(|name| (name.clone(), Type::Unknown)).collect(),
                );
            }
        }
        // Closures that nothing above led to; their surroundings are unknown.
        for (name, functions) in &self.program.functions {
            if name.starts_with("anon$") && !self.walked.contains(name) {
                self.scope.clear();
                for function in functions {
                    let unknown = function.params.iter().map(|name| (name.clone(), Type::Unknown)).collect();
                    self.body(function, unknown);
                }
            }
        }
    }

    /// What was found.
    pub(super) fn end(self) -> (Vec<Diagnostic>, Facts) {
        (self.found, self.facts)
    }

    /// Notes a finding.
    pub(super) fn find(&mut self, found: Diagnostic) {
        self.found.push(found);
    }

    /// What a name stands for here.
    pub(super) fn binding(&self, name: &str) -> Option<&Binding> {
        self.scope.iter().rev().find(|binding| binding.name == name)
    }

    fn bind(&mut self, name: &str, holds: Type, global_let: bool) {
        self.scope.push(Binding { name: name.to_owned(), holds, global_let });
    }

    fn body(&mut self, function: &'a Function, params: Vec<(String, Type)>) {
        let outer = self.scope.len();
        for (name, holds) in params {
            self.bind(&name, holds, false);
        }
        self.block(&function.body);
        self.scope.truncate(outer);
    }

    /// The statements of a block.
    fn block(&mut self, statements: &'a [Stmt]) {
        let outer = self.scope.len();
        blocks::check(self, statements, false);
        for statement in statements {
            self.statement(statement, false);
        }
        self.scope.truncate(outer);
    }

    fn statement(&mut self, statement: &'a Stmt, top: bool) {
        match statement {
            Stmt::Noop(_) | Stmt::Export(..) => {}
            Stmt::If(flow, _) => {
                self.expression(&flow.expr);
                self.block(flow.body.statements());
                self.block(flow.branch.statements());
            }
            Stmt::Switch(switch, _) => {
                self.expression(&switch.0);
                for case in &switch.1.expressions {
                    self.expression(&case.lhs);
                    self.expression(&case.rhs);
                }
            }
            Stmt::While(flow, _) | Stmt::Do(flow, ..) => {
                self.expression(&flow.expr);
                self.block(flow.body.statements());
            }
            Stmt::For(parts, _) => {
                let (name, counter, flow) = &**parts;
                self.expression(&flow.expr);
                let outer = self.scope.len();
                for name in std::iter::once(name).chain(counter) {
                    self.bind(&name.name, Type::Unknown, false);
                }
                self.block(flow.body.statements());
                self.scope.truncate(outer);
            }
            Stmt::Var(var, flags, _) => {
                let holds = self.expression(&var.1);
                let constant = flags.contains(ASTFlags::CONSTANT);
                self.bind(&var.0.name, holds, top && !constant);
            }
            Stmt::Assignment(assignment) => {
                let (_, pair) = &**assignment;
                self.expression(&pair.rhs);
                self.expression(&pair.lhs);
                variables::changed(self, &pair.lhs);
                if let Expr::Variable(variable, ..) = &pair.lhs
                    && let Some(binding) = self.scope.iter_mut().rev().find(|b| b.name == variable.1.as_str())
                {
                    binding.holds = Type::Unknown;
                }
            }
            Stmt::FnCall(call, position) => drop(self.call(call, *position)),
            Stmt::Block(block) => self.block(block.statements()),
            Stmt::TryCatch(flow, _) => {
                self.block(flow.body.statements());
                let outer = self.scope.len();
                if let Expr::Variable(variable, ..) = &flow.expr {
                    self.bind(&variable.1, Type::Unknown, false);
                }
                self.block(flow.branch.statements());
                self.scope.truncate(outer);
            }
            Stmt::Expr(expression) => drop(self.expression(expression)),
            Stmt::BreakLoop(value, ..) | Stmt::Return(value, ..) => {
                if let Some(value) = value {
                    self.expression(value);
                }
            }
            Stmt::Import(import, _) => {
                self.expression(&import.0);
                if let Expr::StringConstant(name, _) = &import.0 {
                    self.aliases.insert(import.1.name.to_string(), Some(name.to_string()));
                }
            }
            // Stands before the closure that captures; what it captures is seen there.
            Stmt::Share(_) => {}
            // The engine may learn new kinds of statements.
            _ => {}
        }
    }

    /// An expression, and what its value is known to be.
    pub(super) fn expression(&mut self, expression: &'a Expr) -> Type {
        match expression {
            Expr::StringConstant(text, position) => {
                strings::check(self, text, *position);
                // Somebody puts it into a map of options.
                self.facts.secrets_open |= text == "secret";
                Type::Unknown
            }
            Expr::InterpolatedString(parts, _) | Expr::Array(parts, _) => {
                for part in parts.iter() {
                    // Parts of a text in backquotes are no texts of their own.
                    if !(matches!(expression, Expr::InterpolatedString(..))
                        && matches!(part, Expr::StringConstant(..)))
                    {
                        self.expression(part);
                    }
                }
                Type::Unknown
            }
            Expr::Map(map, _) => {
                links::map(self, &map.0);
                for (_, value) in &map.0 {
                    self.expression(value);
                }
                Type::Unknown
            }
            Expr::Variable(variable, _, position) => variables::check(self, variable, *position),
            Expr::Stmt(block) => {
                self.block(block.statements());
                Type::Unknown
            }
            Expr::FnCall(call, position) => self.call(call, *position),
            Expr::MethodCall(call, position) => self.method(&Type::Unknown, call, *position),
            Expr::Dot(pair, ..) => {
                let receiver = self.expression(&pair.lhs);
                variables::mutated(self, &pair.lhs, &pair.rhs);
                self.member(receiver, &pair.rhs)
            }
            Expr::Index(pair, flags, _) => {
                self.expression(&pair.lhs);
                self.indexed(&pair.rhs, *flags)
            }
            Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => {
                for part in parts.iter() {
                    self.expression(part);
                }
                Type::Unknown
            }
            Expr::DynamicConstant(value, _) => {
                if let Some(function) = value.read_lock::<FnPtr>() {
                    self.closure(function.fn_name(), 0, &[]);
                }
                Type::Unknown
            }
            Expr::BoolConstant(..)
            | Expr::CharConstant(..)
            | Expr::FloatConstant(..)
            | Expr::IntegerConstant(..)
            | Expr::Property(..)
            | Expr::ThisPtr(_)
            | Expr::Unit(_) => Type::Unknown,
            // The engine may learn new kinds of expressions.
            _ => Type::Unknown,
        }
    }

    /// What stands behind a dot.
    fn member(&mut self, receiver: Type, right: &'a Expr) -> Type {
        match right {
            Expr::Property(property, position) => {
                calls::property(self, &receiver, &property.2, *position);
                self.facts.secrets_open |= property.2 == "secret";
                Type::Unknown
            }
            Expr::MethodCall(call, position) => self.method(&receiver, call, *position),
            Expr::Dot(pair, ..) => {
                let next = self.member(receiver, &pair.lhs);
                self.member(next, &pair.rhs)
            }
            Expr::Index(pair, flags, _) => {
                self.member(receiver, &pair.lhs);
                self.indexed(&pair.rhs, *flags)
            }
            other => self.expression(other),
        }
    }

    /// What stands behind an opening bracket, and what follows the closing one.
    fn indexed(&mut self, right: &'a Expr, flags: ASTFlags) -> Type {
        match right {
            Expr::Dot(pair, ..) if !flags.contains(ASTFlags::BREAK) => {
                self.expression(&pair.lhs);
                self.member(Type::Unknown, &pair.rhs)
            }
            Expr::Index(pair, inner, _) if !flags.contains(ASTFlags::BREAK) => {
                self.expression(&pair.lhs);
                self.indexed(&pair.rhs, *inner)
            }
            other => {
                self.expression(other);
                Type::Unknown
            }
        }
    }

    fn method(&mut self, receiver: &Type, call: &'a FnCallExpr, position: Position) -> Type {
        calls::method(self, receiver, call, position);
        links::method(self, receiver, call, position);
        options::check(self, &call.name, None, &call.args);
        for argument in &call.args {
            self.expression(argument);
        }
        Type::Unknown
    }

    fn call(&mut self, call: &'a FnCallExpr, position: Position) -> Type {
        if call.op_token.is_some() {
            for argument in &call.args {
                self.expression(argument);
            }
            return Type::Unknown;
        }
        // A closure that captures: its function, and what it captures.
        if call.name == "curry"
            && let Some(Expr::DynamicConstant(value, _)) = call.args.first()
            && let Some(function) = value.read_lock::<FnPtr>()
        {
            for captured in &call.args[1..] {
                self.expression(captured);
            }
            self.closure(function.fn_name(), call.args.len() - 1, &[]);
            return Type::Unknown;
        }
        let given = calls::function(self, call, position);
        links::function(self, call, position);
        let module = (!call.namespace.is_empty()).then(|| call.namespace.root().to_owned());
        options::check(self, &call.name, module.as_deref(), &call.args);
        let handler = calls::handler_types(call);
        for (index, argument) in call.args.iter().enumerate() {
            match closure_of(argument) {
                Some((name, captured)) if index + 1 == call.args.len() && !handler.is_empty() => {
                    for variable in captured {
                        self.expression(variable);
                    }
                    calls::parameters(self, call, &name, captured.len());
                    self.closure(&name, captured.len(), &handler);
                }
                _ => drop(self.expression(argument)),
            }
        }
        given
    }

    /// The body of a closure whose first parameters are captured variables and whose others are of these types.
    fn closure(&mut self, name: &str, captured: usize, types: &[Type]) {
        let Some(functions) = self.program.functions.get(name) else { return };
        if !name.starts_with("anon$") {
            return;
        }
        self.walked.insert(name.to_owned());
        for function in functions {
            let params = function.params.iter().enumerate().map(|(index, param)| {
                let holds = match index.checked_sub(captured) {
                    Some(own) => types.get(own).cloned().unwrap_or_default(),
                    None => self.binding(param).map(|outer| outer.holds.clone()).unwrap_or_default(),
                };
                (param.clone(), holds)
            });
            let params: Vec<(String, Type)> = params.collect();
            self.closures += 1;
            let own: Vec<String> = function.params.iter().skip(captured).cloned().collect();
            let outer = self.scope.len();
            for (name, holds) in params {
                let from_top =
                    !own.contains(&name) && self.binding(&name).is_some_and(|outer| outer.global_let);
                self.bind(&name, holds, from_top);
            }
            self.block(&function.body);
            self.scope.truncate(outer);
            self.closures -= 1;
        }
    }
}

/// The name of a closure that stands as an argument, and the variables it captures.
pub(super) fn closure_of(argument: &Expr) -> Option<(String, &[Expr])> {
    let named = |value: &rhai::Dynamic| value.read_lock::<FnPtr>().map(|f| f.fn_name().to_owned());
    match argument {
        Expr::DynamicConstant(value, _) => Some((named(value)?, &[])),
        Expr::Stmt(block) => match block.statements() {
            [Stmt::Share(_), Stmt::Expr(call)] => closure_of(call),
            [Stmt::Share(_), Stmt::FnCall(call, _)] => curried(call),
            _ => None,
        },
        Expr::FnCall(call, _) => curried(call),
        _ => None,
    }
}

fn curried(call: &FnCallExpr) -> Option<(String, &[Expr])> {
    match call.args.split_first() {
        Some((Expr::DynamicConstant(value, _), captured)) if call.name == "curry" => {
            Some((value.read_lock::<FnPtr>()?.fn_name().to_owned(), captured))
        }
        _ => None,
    }
}
