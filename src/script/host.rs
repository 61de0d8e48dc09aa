//! The sandbox: one engine per script thread over shared packages, with everything dangerous taken out.

use std::sync::OnceLock;

use rhai::packages::{Package, StandardPackage};
use rhai::{
    Dynamic, Engine, EvalAltResult, FuncRegistration, ImmutableString, Module, NativeCallContext, Position,
    RhaiFunc, Shared, Token,
};

use crate::script::Limits;
use crate::script::api;
use crate::script::budget;
use crate::script::builtin;
use crate::script::compare;
use crate::script::error::{Kind, Thrown, ended};
use crate::script::instance::Config;
use crate::script::printed;
use crate::script::references::{self, CALL_LEVELS};
use crate::script::testing::playing;
use crate::script::turn;
use crate::script::values;

/// Function that is called behind the last statement of a script, to see the engine's state there.
pub(super) const LOADED: &str = "__loaded";

/// An engine for scripts; each script thread has its own, for the shared one's locks cost a third.
pub(super) struct Host {
    engine: Engine,
    limits: Limits,
}

impl Host {
    /// An engine with the script functions and nothing else. Costs some 30 µs and 5 KiB.
    pub(super) fn new() -> Self {
        Self::with(api::modules())
    }

    /// An engine for tests: what they may call, and nothing that acts as a bot.
    pub(super) fn for_tests() -> Self {
        let mut host = Self::with(api::test_modules());
        host.engine.on_print(print_of_test);
        host.engine.on_debug(|text, _, _| print_of_test(text));
        host
    }

    fn with(areas: &[api::Registered]) -> Self {
        static STANDARD: OnceLock<StandardPackage> = OnceLock::new();
        static OVERRIDES: OnceLock<Shared<Module>> = OnceLock::new();
        let mut engine = Engine::new_raw();
        STANDARD.get_or_init(StandardPackage::new).register_into_engine(&mut engine);
        engine.register_global_module(OVERRIDES.get_or_init(|| overrides().into()).clone());
        for area in areas {
            match area.name {
                Some(name) => engine.register_static_module(name, area.module.clone()),
                None => engine.register_global_module(area.module.clone()),
            };
        }
        engine.disable_symbol("eval");
        // `debug` and `shared` are reserved, and could not be written as `log::debug` and `shared::get`.
        #[allow(deprecated)]
        engine.on_parse_token(|token, _, _| match token {
            Token::Reserved(word) if matches!(word.as_str(), "debug" | "shared") => Token::Identifier(word),
            token => token,
        });
        engine.set_strict_variables(true);
        // One more than there are: the first variable there is refused, and has a place.
        engine.set_max_call_levels(CALL_LEVELS + 1);
        engine.set_max_expr_depths(64, 32);
        engine.set_max_variables(256);
        engine.set_max_functions(2_000);
        engine.set_max_modules(64);
        engine.set_module_resolver(NoImports);
        engine.on_progress(|_| budget::spend().map(Dynamic::from));
        engine.on_print(|text| turn::print(text, None));
        engine.on_debug(|text, _, position| turn::print(text, position.line()));
        // `config` is visible in closures and functions alike, which a variable of the scope is not.
        #[allow(deprecated)]
        engine.on_var(|name, _, context| {
            references::check(&context)?;
            Ok(if name == "config" { turn::config() } else { None })
        });
        let mut host = Self { engine, limits: Limits::DEFAULT };
        host.set_sizes();
        host
    }

    /// The engine, with the sizes of `limits`.
    pub(super) fn engine(&mut self, limits: &Limits) -> &Engine {
        if self.limits != *limits {
            self.limits = *limits;
            self.set_sizes();
        }
        &self.engine
    }

    /// The engine itself, to set up compiling.
    pub(super) fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    fn set_sizes(&mut self) {
        self.engine.set_max_string_size(self.limits.string);
        self.engine.set_max_array_size(self.limits.array);
        self.engine.set_max_map_size(self.limits.map);
    }
}

/// Lines that a test has printed and that are shown if it fails.
const PRINTED: usize = 20;

fn print_of_test(text: &str) {
    // Modules print while they are compiled, where no test runs.
    drop(playing::with(|run| {
        if run.playing.printed.len() < PRINTED {
            run.playing.printed.push(printed::cut(text, 400));
        }
        Ok(())
    }));
}

/// What may be imported was resolved when the script was compiled.
struct NoImports;

impl rhai::ModuleResolver for NoImports {
    fn resolve(
        &self,
        _: &Engine,
        _: Option<&str>,
        path: &str,
        position: rhai::Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let hint = "write the name as a literal, such as `import \"lib/words\" as words;`";
        let thrown = Thrown::new(Kind::Import, format!("`{path}` cannot be imported")).hint(hint);
        Err(EvalAltResult::ErrorRuntime(Dynamic::from(thrown), position).into())
    }
}

type Checked<T> = Result<T, Box<EvalAltResult>>;

/// Functions of the standard package that block, end the script unseen, or amplify memory in one call.
/// `disable_symbol` covers keywords only; a function registered later shadows the earlier one.
fn overrides() -> Module {
    let mut module = Module::new();
    builtin::register(&mut module);
    compare::register(&mut module);
    let sleepless = || {
        Thrown::new(Kind::Forbidden, "`sleep` is not available: a script never waits")
            .hint("use `timer::after(\"5s\", || ...)`")
    };
    set(&mut module, "sleep", move |_: i64| -> Checked<()> { Err(sleepless().into()) });
    set(&mut module, "sleep", move |_: f64| -> Checked<()> { Err(sleepless().into()) });
    let endless = || Thrown::new(Kind::Forbidden, "`exit` is not available").hint("use `return`");
    set(&mut module, "exit", move || -> Checked<()> { Err(endless().into()) });
    set(&mut module, "exit", move |_: Dynamic| -> Checked<()> { Err(endless().into()) });
    set(&mut module, "replace", |text: &mut ImmutableString, find: &str, by: &str| replace(text, find, by));
    set(&mut module, "replace", |text: &mut ImmutableString, find: &str, by: char| {
        replace(text, find, by.encode_utf8(&mut [0; 4]))
    });
    set(&mut module, "replace", |text: &mut ImmutableString, find: char, by: &str| {
        replace(text, find.encode_utf8(&mut [0; 4]), by)
    });
    set(&mut module, "replace", |text: &mut ImmutableString, find: char, by: char| {
        replace(text, find.encode_utf8(&mut [0; 4]), by.encode_utf8(&mut [0; 4]))
    });
    printed::register(&mut module);
    set(&mut module, "to_string", |thrown: &mut Thrown| thrown.message.clone());
    FuncRegistration::new_getter("message")
        .set_into_module(&mut module, |thrown: &mut Thrown| thrown.message.clone());
    module.set_custom_type::<Thrown>("Error");
    #[cfg(test)]
    set(&mut module, "__panic", || -> Checked<()> { panic!("on purpose") });
    set(&mut module, LOADED, |context: rhai::NativeCallContext| -> Checked<()> {
        turn::with(|turn| {
            turn.loaded = Some(context.global_runtime_state().clone());
            Ok(())
        })
    });
    module.set_custom_type::<Config>("Config");
    FuncRegistration::new_index_getter().set_into_module(&mut module, |config: &mut Config, name: &str| {
        config.0.get(name).map_or(Dynamic::UNIT, values::from_json)
    });
    module
}

/// Registers a function that scripts call without a module's name.
pub(super) fn set<A: 'static, const N: usize, const X: bool, R, const F: bool, Function>(
    module: &mut Module,
    name: &str,
    function: Function,
) where
    R: rhai::Variant + Clone,
    Function: rhai::RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
{
    let registration = FuncRegistration::new(name).in_global_namespace();
    registration.set_into_module_raw(
        module,
        Function::param_types(),
        placed(function.into_rhai_function(true, true)),
    );
}

/// The same function, whose failures know where it was called: the engine forgets that for `area::name(…)`. It fails where
/// the turn must end.
pub(super) fn placed(function: RhaiFunc) -> RhaiFunc {
    let wrap = |inner: Shared<FnAny>| -> Shared<FnAny> {
        Shared::new(move |context: Option<NativeCallContext<'_>>, arguments: &mut [&mut Dynamic]| {
            let place = context.as_ref().map_or(Position::NONE, NativeCallContext::call_position);
            let result = match budget::over() {
                None => inner(context, arguments),
                Some(reason) => Err(ended(reason)),
            };
            result.map_err(|mut error| {
                if error.position().is_none() {
                    error.set_position(place);
                }
                error
            })
        })
    };
    match function {
        RhaiFunc::Pure { func, is_pure, is_volatile, .. } => {
            RhaiFunc::Pure { func: wrap(func), has_context: true, is_pure, is_volatile }
        }
        RhaiFunc::Method { func, is_pure, is_volatile, .. } => {
            RhaiFunc::Method { func: wrap(func), has_context: true, is_pure, is_volatile }
        }
        // Host functions are never of another sort.
        other => other,
    }
}

type FnAny = dyn Fn(Option<NativeCallContext<'_>>, &mut [&mut Dynamic]) -> Checked<Dynamic> + Send + Sync;

/// As the built-in one, but the result's size is known before it is built: 20,000 matches of one letter with a
/// long substitute would be gigabytes in one call that nothing can stop.
fn replace(text: &mut ImmutableString, find: &str, by: &str) -> Checked<()> {
    if text.is_empty() {
        return Ok(());
    }
    let size = text.len().saturating_add(text.matches(find).count().saturating_mul(by.len()));
    if size > turn::string_limit().saturating_add(text.len()) || size > budget::memory_left() {
        return Err(Thrown::new(Kind::Size, "the result of `replace` is too large").into());
    }
    *text = text.replace(find, by).into();
    Ok(())
}
