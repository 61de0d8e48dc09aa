//! Compiling: source text and its imports to one shared AST, with a version that names exactly this text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rhai::module_resolvers::DummyModuleResolver;
use rhai::{AST, Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};
use sha2::{Digest, Sha256};

use crate::script::budget::{self, Exceeded, Running};
use crate::script::error::{Kind, ScriptError, Site, Thrown, ended};
use crate::script::host::{Host, LOADED};
use crate::script::{Limits, stack};

/// Longest source text in bytes: compile time grows with its square.
pub const SOURCE_LIMIT: usize = 128 * 1024;

/// What compiling one script may use, whatever its turns may: top levels of imported modules run here. The memory holds
/// everything that compiling makes, modules included; what one text of [`SOURCE_LIMIT`] becomes may come on top.
pub const COMPILING: Limits = Limits {
    turn: Duration::from_secs(2),
    operations: 1_000_000,
    memory: Limits::MEMORY_CEILING,
    ..Limits::DEFAULT
};

/// A compiled script. Clones share it; bots that use one script share one AST.
#[derive(Clone)]
pub struct Compiled {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub path: PathBuf,
    /// The path as failures show it.
    pub file: String,
    pub version: String,
    pub ast: AST,
    pub imports: Vec<PathBuf>,
    /// Parameters of every function, closures included, by name.
    pub arities: Arc<BTreeMap<String, Vec<usize>>>,
    /// Where each function begins, by name.
    pub places: BTreeMap<String, Position>,
    /// Functions with a name.
    pub functions: Vec<String>,
}

impl Compiled {
    /// First 12 hexadecimal digits of the SHA-256 of the text and of everything it imports.
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// The file it came from.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The files that were imported, so that a change of one can be noticed.
    pub fn imports(&self) -> &[PathBuf] {
        &self.inner.imports
    }
}

/// Compiles `source`, which came from `path`. `import "lib/words" as words;` means `lib/words.rhai` in the folder
/// of `path`, and nothing outside of it. `name` is what failures call the script.
///
/// Safe to call from any thread: the work is done on one with a large stack. Texts that are the same share one
/// AST while somebody has it.
///
/// # Errors
/// [`ScriptError`] with the place in the text.
pub fn compile(name: &str, path: &Path, source: &str) -> Result<Compiled, ScriptError> {
    stack::on_script_thread(|| {
        let file = path.display().to_string();
        let site = compiling(name, &file);
        match catch_unwind(AssertUnwindSafe(|| compile_here(&site, path, source))) {
            Ok(result) => result.map(shared),
            Err(_) => Err(site.plain(Kind::Panic, "the compiler panicked: this is a fault of the program")),
        }
    })
}

/// Compiles a test, on a script thread.
pub(super) fn compile_test(path: &Path, source: &str) -> Result<Inner, ScriptError> {
    let file = path.display().to_string();
    compile_with(Host::for_tests(), &compiling("", &file), path, source)
}

fn compiling<'a>(script: &'a str, file: &'a str) -> Site<'a> {
    Site { bot: "", script, file, event: None, functions: &[], limits: &COMPILING }
}

fn compile_here(site: &Site<'_>, path: &Path, source: &str) -> Result<Inner, ScriptError> {
    compile_with(Host::new(), site, path, source)
}

fn compile_with(mut host: Host, site: &Site<'_>, path: &Path, source: &str) -> Result<Inner, ScriptError> {
    if source.len() > SOURCE_LIMIT {
        let message = format!("the script has {} bytes, more than {SOURCE_LIMIT}", source.len());
        return Err(site.plain(Kind::Size, message));
    }
    // An imported module runs its top level here.
    let _running = Running::start(&COMPILING, COMPILING.memory);
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let root = path.parent().unwrap_or(Path::new("")).to_owned();
    let engine = host.engine_mut();
    engine.set_module_resolver(Confined { root, seen: seen.clone(), open: Mutex::default() });
    // `config` is known to the text, though its value comes when it runs.
    let mut scope = Scope::new();
    scope.push("config", ());
    let main = engine
        .compile_into_self_contained(&scope, source)
        .map_err(|error| of_compiling(site.eval(&error)))?;
    if budget::memory_left() == 0 {
        return Err(of_compiling(site.plain(Kind::Memory, String::new())));
    }
    engine.set_module_resolver(DummyModuleResolver::new());
    let end = engine.compile(format!("{LOADED}();")).map_err(|error| site.parse(&error))?;
    let mut ast = main.merge(&end);
    ast.set_source(site.file);
    let mut arities: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for function in ast.iter_functions() {
        arities.entry(function.name.to_owned()).or_default().push(function.params.len());
    }
    let mut places = BTreeMap::new();
    for (_, _, name, _, function) in ast.shared_lib().iter_script_fn_info() {
        places.insert(name.to_owned(), function.body.start_position());
    }
    let functions = arities.keys().filter(|name| !name.starts_with("anon$")).cloned().collect();
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Inner {
        path: path.to_owned(),
        file: site.file.to_owned(),
        version: version(source, &seen),
        ast,
        imports: seen.values().map(|import| import.path.clone()).collect(),
        arities: Arc::new(arities),
        places,
        functions,
    })
}

/// No key of `bots.yaml` moves the budget of compiling, and no turn has run: other words than those of a turn.
fn of_compiling(error: ScriptError) -> ScriptError {
    let message = match error.kind {
        Kind::Deadline => format!("compiling took longer than {} s", COMPILING.turn.as_secs()),
        Kind::Operations => format!("imported modules took more than {} operations", COMPILING.operations),
        Kind::Memory => {
            format!("the script and what it imports take more than {} MiB", COMPILING.memory / 1024 / 1024)
        }
        _ => return error,
    };
    let hint = "let the top level of a module declare, and handlers do the work; or split the script";
    ScriptError { message, hint: Some(hint.to_owned()), ..error }
}

fn version(source: &str, imports: &BTreeMap<String, Import>) -> String {
    let mut hash = Sha256::new();
    hash.update(source);
    for (name, import) in imports {
        hash.update([0]);
        hash.update(name);
        hash.update([0]);
        hash.update(&import.source);
    }
    hash.finalize()[..6].iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The one `Compiled` of this text and path, if somebody has it already.
fn shared(inner: Inner) -> Compiled {
    static KNOWN: Mutex<BTreeMap<(PathBuf, String), Weak<Inner>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|_, weak| weak.strong_count() > 0);
    let key = (inner.path.clone(), inner.version.clone());
    if let Some(inner) = known.get(&key).and_then(Weak::upgrade) {
        return Compiled { inner };
    }
    let inner = Arc::new(inner);
    known.insert(key, Arc::downgrade(&inner));
    Compiled { inner }
}

/// What was imported, by name.
type Seen = Arc<Mutex<BTreeMap<String, Import>>>;

struct Import {
    path: PathBuf,
    source: String,
}

/// Finds modules in one folder only, and notes them.
struct Confined {
    root: PathBuf,
    seen: Seen,
    /// Modules that are being loaded, each for the one before it.
    open: Mutex<Vec<String>>,
}

impl Confined {
    /// Notes that a module is being loaded: what imports itself would go on until the stack ends.
    fn enter(&self, name: &str) -> Result<(), Thrown> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.iter().any(|other| other == name) {
            let message = format!("`{name}` imports itself: {}", way(&open, name));
            return Err(Thrown::new(Kind::Import, message).hint("move what both need into a third module"));
        }
        if open.len() >= DEPTH {
            let message = format!("more than {DEPTH} modules import each other: {}", way(&open, name));
            return Err(Thrown::new(Kind::Import, message));
        }
        open.push(name.to_owned());
        Ok(())
    }

    fn leave(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).pop();
    }

    /// The text of a module, from the first look at it.
    fn source(&self, name: &str) -> Result<(PathBuf, String), Thrown> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(import) = seen.get(name) {
            return Ok((import.path.clone(), import.source.clone()));
        }
        let (path, source) = module_source(&self.root, name)?;
        seen.insert(name.to_owned(), Import { path: path.clone(), source: source.clone() });
        Ok((path, source))
    }

    fn compile(&self, engine: &Engine, name: &str) -> Result<AST, Box<EvalAltResult>> {
        let (path, source) = self.source(name)?;
        let file = path.display().to_string();
        let mut scope = Scope::new();
        scope.push("config", ());
        match engine.compile_with_scope(&scope, source) {
            // The parser asks nobody, so many modules together are stopped here.
            Ok(_) if budget::memory_left() == 0 => Err(ended(Exceeded::Memory)),
            Ok(mut ast) => {
                ast.set_source(file);
                Ok(ast)
            }
            Err(error) => {
                let inside = EvalAltResult::ErrorParsing(*error.0, error.1);
                Err(EvalAltResult::ErrorInModule(file, inside.into(), Position::NONE).into())
            }
        }
    }
}

/// The path and text of the module that scripts in `root` import by that name.
pub(super) fn module_source(root: &Path, name: &str) -> Result<(PathBuf, String), Thrown> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '/' | '-');
    if !name.chars().all(allowed) || name.split('/').any(str::is_empty) {
        let thrown = Thrown::new(Kind::Import, format!("`{name}` is no name of a module"));
        return Err(thrown.hint(
            "use a-z, 0-9, `_`, `-` and `/`, and leave `.rhai` out: `import \"lib/words\" as words;`",
        ));
    }
    let path = root.join(format!("{name}.rhai"));
    let source = read_within(root, &path)
        .map_err(|why| Thrown::new(Kind::Import, format!("`{name}` cannot be imported: {why}")))?;
    Ok((path, source))
}

/// Modules that may be loaded for each other.
const DEPTH: usize = 16;

fn way(open: &[String], name: &str) -> String {
    open.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(" → ")
}

/// Reads a file whose real place is inside of `root`, whatever links lead to it.
fn read_within(root: &Path, path: &Path) -> Result<String, String> {
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let place = |path: &Path| path.canonicalize().map_err(|why| format!("`{}`: {why}", path.display()));
    let (root, real) = (place(root)?, place(path)?);
    if !real.starts_with(&root) {
        return Err("it lies outside of the folder of the scripts".to_owned());
    }
    let size = std::fs::metadata(&real).map_err(|why| why.to_string())?.len();
    if size > SOURCE_LIMIT as u64 {
        return Err(format!("it has {size} bytes, more than {SOURCE_LIMIT}"));
    }
    std::fs::read_to_string(&real).map_err(|why| why.to_string())
}

impl ModuleResolver for Confined {
    fn resolve(
        &self,
        engine: &Engine,
        _: Option<&str>,
        name: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let place = |mut error: Box<EvalAltResult>| {
            if error.position().is_none() {
                error.set_position(position);
            }
            error
        };
        self.enter(name).map_err(|thrown| place(thrown.into()))?;
        let module = self.compile(engine, name).map_err(place).and_then(|ast| {
            Module::eval_ast_as_new(Scope::new(), &ast, engine).map_err(|error| {
                let file = ast.source().unwrap_or_default().to_owned();
                Box::new(EvalAltResult::ErrorInModule(file, error, position))
            })
        });
        self.leave();
        Ok(module?.into())
    }

    fn resolve_ast(
        &self,
        engine: &Engine,
        _: Option<&str>,
        name: &str,
        _: Position,
    ) -> Option<Result<AST, Box<EvalAltResult>>> {
        Some(self.compile(engine, name))
    }
}

/// A value that only names what it is; for tests that look into failures.
impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Compiled({} {})", self.inner.file, self.inner.version)
    }
}
