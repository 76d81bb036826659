//! Modules at run time: compiled at load, made once per run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

type SharedModule = Shared<Module>;

use crate::script::Script;

pub struct Modules {
    script: Arc<Script>,
    made: Mutex<HashMap<String, SharedModule>>,
}

impl Modules {
    pub fn new(script: Arc<Script>) -> Self {
        Self { script, made: Mutex::default() }
    }
}

impl ModuleResolver for Modules {
    fn resolve(&self, engine: &Engine, _: Option<&str>, path: &str, position: Position) -> Result<SharedModule, Box<EvalAltResult>> {
        if let Some(module) = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(module.clone());
        }
        let missing = || Box::new(EvalAltResult::ErrorModuleNotFound(path.to_owned(), position));
        let file = self.script.files.iter().find(|f| f.module.as_deref() == Some(path)).ok_or_else(missing)?;
        // a module may import others: the lock is not held meanwhile
        let module: SharedModule = Module::eval_ast_as_new(Scope::new(), &file.ast, engine)?.into();
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), module.clone());
        Ok(module)
    }
}
