//! Building the script engine.

use rhai::module_resolvers::DummyModuleResolver;
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, Package,
};
use rhai::{Engine, OptimizationLevel};

use super::{compare, convert, limits, lookup, patterns, text};

/// Symbols that scripts cannot even spell. `Fn` would call by a name made up at run time.
const DISABLED: &[&str] = &["import", "export", "eval", "Fn", "print", "debug", "is_def_var", "is_def_fn", "is_shared"];

/// The engine that runs scripts.
///
/// Left out on purpose: the language core (it has `sleep`, `exit`, `take`, `parse_json`), the larger string package
/// (its `replace` and `pad` multiply memory; ours are bounded), the logic package (it compares across number types
/// by rounding), blobs, bit fields, time.
pub(super) fn build() -> Engine {
    let mut engine = Engine::new_raw();
    ArithmeticPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicFnPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    limits::set(&mut engine);
    for symbol in DISABLED {
        engine.disable_symbol(*symbol);
    }
    engine
        .set_module_resolver(DummyModuleResolver::new())
        .set_fail_on_invalid_map_property(true)
        // Otherwise `==` between unequal types is answered before our operators are asked.
        .set_fast_operators(false)
        // The optimizer folds comparisons of constants by the built-in operators, and drops paths that are still
        // to be checked.
        .set_optimization_level(OptimizationLevel::None)
        .set_strict_variables(true);
    // A second lock behind the disabled symbols: nothing reaches standard output.
    engine.on_print(|_| ()).on_debug(|_, _, _| ());
    compare::register(&mut engine);
    convert::register(&mut engine);
    lookup::register(&mut engine);
    patterns::register(&mut engine);
    text::register(&mut engine);
    engine
}

/// An engine that only parses, without the strict check of variables and modules. It runs nothing.
pub(super) fn parser(functions_max: usize) -> Engine {
    let mut engine = Engine::new_raw();
    limits::set(&mut engine);
    for symbol in DISABLED {
        engine.disable_symbol(*symbol);
    }
    engine.set_max_functions(functions_max).set_optimization_level(OptimizationLevel::None);
    engine
}
