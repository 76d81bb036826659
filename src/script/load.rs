//! Reads a runbook, finds its imports, compiles every file into the one line space and checks it.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rhai::{Engine, Expr, Scope, Stmt};

use super::error::{Problem, ScriptError, ScriptErrors};
use super::walk::{self, Function};
use super::{Calls, Import, Kind, Names, Script, SourceFile, checks, engine, limits, span, stdlib, syntax};

/// What to load.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    Path(&'a Path),
    /// A runbook that has no file; its modules are the site's and the embedded ones.
    Text {
        name: &'a str,
        text: &'a str,
    },
}

/// Where modules are looked for and what may be called.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The site's own `stdlib`, if it has one.
    pub site_stdlib: Option<PathBuf>,
    pub names: Names,
}

/// How deep imports nest at most; a cycle is found long before.
const NESTING: usize = 32;

struct Loader<'a> {
    options: &'a Options,
    folder: Option<PathBuf>,
    engine: Engine,
    scope: Scope<'static>,
    files: Vec<SourceFile>,
    functions: Vec<Vec<Function>>,
    errors: Vec<ScriptError>,
    lines: usize,
    bytes: usize,
}

impl Script {
    /// Reads, compiles and checks a runbook with everything it imports.
    ///
    /// # Errors
    /// Everything found, over all files; after a syntax error the file's other checks are left out.
    pub fn load(source: Source<'_>, options: &Options) -> Result<Script, ScriptErrors> {
        let (name, path, text, kind) = match source {
            Source::Path(path) => {
                let text = match std::fs::read(path).and_then(utf8) {
                    Ok(text) => text,
                    Err(error) => {
                        let problem = Box::new(Problem::Unreadable { path: path.to_owned(), source: error });
                        return Err(ScriptErrors(vec![ScriptError { problem, file: 0, span: 0..0, source: None }]));
                    }
                };
                (path.display().to_string(), Some(path.to_owned()), text, Kind::Runbook)
            }
            Source::Text { name, text } => (name.to_owned(), None, text.to_owned(), Kind::Runbook),
        };
        let mut loader = Loader {
            options,
            folder: path.as_deref().map(|p| p.parent().unwrap_or(Path::new("")).to_owned()),
            engine: engine::new(),
            scope: engine::scope(),
            files: Vec::new(),
            functions: Vec::new(),
            errors: Vec::new(),
            lines: 0,
            bytes: 0,
        };
        loader.file(name, path, kind, &text, &mut Vec::new());
        if loader.errors.is_empty() {
            checks::script(&loader.files, &loader.functions, &options.names, &mut loader.errors);
        }
        if !loader.errors.is_empty() {
            loader.errors.sort_by_key(|e| (e.file, e.span.start));
            return Err(ScriptErrors(loader.errors));
        }
        let mut calls = Calls::default();
        for (file, functions) in loader.files.iter().zip(&loader.functions) {
            calls.add(&file.ast, functions, &|name| options.names.primitives.contains(name));
        }
        let mut closures = HashMap::new();
        let mut defined = BTreeSet::new();
        for (file, functions) in loader.functions.into_iter().enumerate() {
            for function in functions {
                if function.is_closure() {
                    closures.insert(function.name, (file, function.parameters.len()));
                } else {
                    defined.insert(function.name);
                }
            }
        }
        Ok(Script { files: loader.files, calls, names: options.names.clone(), closures, functions: defined })
    }
}

fn utf8(bytes: Vec<u8>) -> std::io::Result<String> {
    String::from_utf8(bytes).map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e.utf8_error()))
}

impl Loader<'_> {
    /// Compiles one file and then what it imports; returns its index.
    fn file(&mut self, name: String, path: Option<PathBuf>, kind: Kind, text: &str, parents: &mut Vec<String>) -> usize {
        let index = self.files.len();
        let bom = text.starts_with('\u{feff}');
        let text: Arc<str> = text.trim_start_matches('\u{feff}').into();
        let line_starts = span::line_starts(&text);
        let first_line = self.lines;
        let base = self.bytes;
        self.lines += line_starts.len();
        // one byte between files, so that no position belongs to two
        self.bytes += text.len() + 1;
        let mut file = SourceFile {
            name,
            path,
            kind,
            module: parents.last().cloned(),
            bom,
            first_line,
            imports: Vec::new(),
            ast: rhai::AST::empty(),
            base,
            line_starts,
            lexed: OnceLock::new(),
            text,
        };
        let result = self.compile(&file);
        let failed = result.is_err();
        match result {
            Ok(ast) => file.ast = ast,
            Err((problem, span)) => self.errors.push(error(&file, index, span, problem)),
        }
        self.functions.push(walk::functions(&file.ast));
        self.files.push(file);
        if !failed {
            self.imports(index, parents);
        }
        index
    }

    fn compile(&self, file: &SourceFile) -> Result<rhai::AST, (Problem, std::ops::Range<usize>)> {
        if self.lines > limits::LINES {
            let limit = format!("{} lines in a runbook and its modules", limits::LINES);
            return Err((Problem::Limit { limit }, 0..0));
        }
        if let Some(line) = file.text.split('\n').position(|l| l.len() > limits::LINE) {
            let start = file.line_starts[line];
            return Err((Problem::Limit { limit: format!("{} bytes in a line", limits::LINE) }, start..start));
        }
        if file.text.contains("/*")
            && let Some(start) = file.lexed().unclosed_comment
        {
            return Err((Problem::UnclosedComment, start..start + 2));
        }
        let blank = "\n".repeat(file.first_line);
        self.engine
            .compile_scripts_with_scope(&self.scope, [blank.as_str(), &file.text])
            .map_err(|error| syntax::problem(file, &error, &self.options.names))
    }

    /// Finds and loads what a file imports at its top.
    fn imports(&mut self, index: usize, parents: &mut Vec<String>) {
        let found: Vec<_> = self.files[index]
            .ast
            .statements()
            .iter()
            .filter_map(|stmt| match stmt {
                Stmt::Import(parts, position) => Some((parts.0.clone(), parts.1.name.to_string(), *position)),
                _ => None,
            })
            .collect();
        for (expr, alias, position) in found {
            let at = self.files[index].span_at(expr.position());
            // what is not a literal is refused by the checks
            let Expr::StringConstant(module, _) = expr else { continue };
            if alias.is_empty() {
                let at = self.files[index].span_at(position);
                let problem = Problem::Import {
                    message: "an import needs a name".to_owned(),
                    help: format!("write `import \"{module}\" as {};`", module.rsplit('/').next().unwrap_or("name")),
                };
                self.errors.push(error(&self.files[index], index, at, problem));
                continue;
            }
            if parents.iter().any(|p| *p == module.as_str()) || parents.len() > NESTING {
                let message = format!("modules import each other in a circle: {} → {module}", parents.join(" → "));
                let problem = Problem::Import { message, help: "move what both need into a third module".to_owned() };
                self.errors.push(error(&self.files[index], index, at, problem));
                continue;
            }
            match self.module(&module, parents) {
                Ok(file) => self.files[index].imports.push(Import { alias, module: module.to_string(), file }),
                Err(problem) => self.errors.push(error(&self.files[index], index, at, problem)),
            }
        }
    }

    /// The file of a module: loaded already, beside the runbook, in the site's `stdlib`, or embedded.
    fn module(&mut self, module: &str, parents: &mut Vec<String>) -> Result<usize, Problem> {
        let known = self.files.iter().skip(1).position(|f| f.module.as_deref() == Some(module));
        if let Some(index) = known {
            return Ok(index + 1);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
        if module.is_empty() || module.starts_with('/') || !module.chars().all(plain) {
            let help = "write the module's name without `.rhai` and without `..`".to_owned();
            return Err(Problem::UnknownImport { name: module.to_owned(), help });
        }
        let places = [(self.folder.clone(), Kind::Beside), (self.options.site_stdlib.clone(), Kind::Site)];
        let mut found = None;
        for (folder, kind) in places {
            let Some(path) = folder.map(|f| f.join(format!("{module}.rhai"))) else { continue };
            match std::fs::read(&path).and_then(utf8) {
                Ok(text) => {
                    found = Some((path.display().to_string(), Some(path), kind, text));
                    break;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Problem::Unreadable { path, source: error }),
            }
        }
        let found = found.or_else(|| {
            let text = stdlib::text(module)?;
            Some((format!("stdlib/{module}.rhai"), None, Kind::Embedded, text.to_owned()))
        });
        let Some((name, path, kind, text)) = found else {
            return Err(Problem::UnknownImport { name: module.to_owned(), help: self.where_looked(module) });
        };
        parents.push(module.to_owned());
        let index = self.file(name, path, kind, &text, parents);
        parents.pop();
        Ok(index)
    }

    fn where_looked(&self, module: &str) -> String {
        let mut looked = Vec::new();
        if self.folder.is_some() {
            looked.push("beside the runbook".to_owned());
        }
        if self.options.site_stdlib.is_some() {
            looked.push("in the site's `stdlib`".to_owned());
        }
        looked.push("in the program".to_owned());
        let embedded = stdlib::names();
        match super::nearest(module, embedded.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`? Looked for `{module}.rhai` {}", looked.join(", ")),
            None => format!("put `{module}.rhai` beside the runbook; looked {}", looked.join(", ")),
        }
    }
}

/// An error on a file's text.
pub(super) fn error(file: &SourceFile, index: usize, span: std::ops::Range<usize>, problem: Problem) -> ScriptError {
    ScriptError { problem: Box::new(problem), file: index, span, source: Some(file.named()) }
}
