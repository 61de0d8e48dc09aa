//! The tree of a text as it is written: nothing folded, nothing resolved, unknown names left in.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Expr, FnAccess, ParseError, Position, Scope, Stmt};

use crate::script::check::natives::Natives;

/// A script or module as a tree.
pub(super) struct Program {
    pub top: Vec<Stmt>,
    /// Functions and closures by name; those with a name may have several numbers of parameters.
    pub functions: BTreeMap<String, Vec<Function>>,
    /// Names of modules that are imported by a literal name.
    pub imports: Vec<String>,
    /// Keys of map literals and properties that are set: what they hold may be called like a method.
    pub keys: BTreeSet<String>,
}

/// One function.
pub(super) struct Function {
    pub params: Vec<String>,
    pub private: bool,
    pub body: Vec<Stmt>,
    pub place: Position,
}

impl Program {
    /// Reads a text.
    pub(super) fn parse(natives: &mut Natives, text: &str) -> Result<Self, ParseError> {
        let mut scope = Scope::new();
        scope.push("config", ());
        let ast = natives.engine().compile_with_scope(&scope, text)?;
        let mut functions: BTreeMap<String, Vec<Function>> = BTreeMap::new();
        for (_, access, name, arity, definition) in ast.shared_lib().iter_script_fn_info() {
            functions.entry(name.to_owned()).or_default().push(Function {
                params: definition.params.iter().map(ToString::to_string).collect(),
                private: access == FnAccess::Private,
                body: body(&ast, name, arity),
                place: definition.body.start_position(),
            });
        }
        let mut program =
            Self { top: ast.statements().to_vec(), functions, imports: Vec::new(), keys: BTreeSet::new() };
        ast.walk(&mut |path| {
            match path.last() {
                Some(ASTNode::Stmt(Stmt::Import(import, _))) => {
                    if let Expr::StringConstant(name, _) = &import.0
                        && !program.imports.contains(&name.to_string())
                    {
                        program.imports.push(name.to_string());
                    }
                }
                Some(ASTNode::Expr(Expr::Map(map, _))) => {
                    program.keys.extend(map.0.iter().map(|(key, _)| key.name.to_string()));
                }
                Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => {
                    last_properties(&assignment.1.lhs, &mut program.keys);
                }
                // A map that is all literal is folded into one value.
                Some(ASTNode::Expr(Expr::DynamicConstant(value, _))) => {
                    if let Ok(map) = value.as_map_ref() {
                        program.keys.extend(map.keys().map(ToString::to_string));
                    }
                }
                _ => {}
            }
            true
        });
        Ok(program)
    }

    /// Functions that others can call through `import`.
    pub(super) fn public(&self) -> BTreeMap<String, BTreeSet<usize>> {
        let named = self.functions.iter().filter(|(name, _)| !name.starts_with("anon$"));
        named
            .map(|(name, all)| (name, all.iter().filter(|f| !f.private).map(|f| f.params.len()).collect()))
            .filter(|(_, arities): &(_, BTreeSet<usize>)| !arities.is_empty())
            .map(|(name, arities)| (name.clone(), arities))
            .collect()
    }

    /// Numbers of parameters of the functions of that name.
    pub(super) fn arities(&self, name: &str) -> BTreeSet<usize> {
        self.functions.get(name).into_iter().flatten().map(|function| function.params.len()).collect()
    }

    /// Functions with a name.
    pub(super) fn named(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(String::as_str).filter(|name| !name.starts_with("anon$"))
    }
}

fn last_properties(expr: &Expr, keys: &mut BTreeSet<String>) {
    match expr {
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => {
            last_properties(&pair.lhs, keys);
            last_properties(&pair.rhs, keys);
        }
        Expr::Property(property, _) => {
            keys.insert(property.2.to_string());
        }
        Expr::StringConstant(text, _) => {
            keys.insert(text.to_string());
        }
        _ => {}
    }
}

/// The statements of one function: the engine shows the bodies of functions only to those who walk through them.
fn body(ast: &AST, name: &str, arity: usize) -> Vec<Stmt> {
    let mut alone = ast.clone_functions_only();
    alone.retain_functions(|_, _, other, params| other == name && params == arity);
    let mut statements = Vec::new();
    alone.walk(&mut |path| {
        if let [ASTNode::Stmt(statement)] = path {
            statements.push((*statement).clone());
        }
        true
    });
    statements
}
