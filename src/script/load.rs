//! Reads runbooks, finds their imports, compiles every file and checks it. Modules come first in the line space, in a fixed
//! order, so that each is compiled and checked once for any number of runbooks.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use memchr::memmem;
use rhai::{Engine, Expr, Scope, Stmt};

use super::error::{Problem, ScriptError, ScriptErrors};
use super::{Calls, Import, Kind, Names, Script, SourceFile, checks, engine, limits, parallel, span, stdlib, syntax, walk};

/// What to load.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    Path(&'a Path),
    /// A text that stands for the file's: its modules are looked for beside that path.
    Instead {
        path: &'a Path,
        text: &'a str,
    },
    /// A runbook that has no file; its modules are the site's and the embedded ones.
    Text {
        name: &'a str,
        text: &'a str,
    },
}

impl Source<'_> {
    /// Where its modules are looked for first.
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Path(path) | Self::Instead { path, .. } => folder_of(Some(path)),
            Self::Text { .. } => None,
        }
    }
}

/// Where modules are looked for and what may be called.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The site's own `stdlib`, if it has one.
    pub site_stdlib: Option<PathBuf>,
    pub names: Arc<Names>,
}

impl Options {
    /// A module as an import finds it: its file, none for one that is built in, and its text.
    pub fn module(&self, folder: Option<&Path>, module: &str) -> Option<(Option<PathBuf>, String)> {
        let (place, _, text) = Library::new(self.clone()).find(folder, module).ok()?;
        let file = match place {
            Place::File(file) => Some(file),
            Place::Embedded(_) => None,
        };
        Some((file, text))
    }
}

/// Where the modules begin in the space of bytes: behind the runbook, so that it is shown first.
const MODULES: usize = usize::MAX / 2;

/// How deep imports nest at most; a cycle is found long before.
const NESTING: usize = 32;

type Found = (Problem, std::ops::Range<usize>);

/// A script as far as it could be put together, and everything that is wrong with it: it may run only if nothing is.
pub struct Loaded {
    pub script: Script,
    /// The runbook's first.
    pub errors: Vec<ScriptError>,
}

/// One file, compiled or not, with everything that is wrong with it by itself.
struct Compiled {
    file: Arc<SourceFile>,
    problems: Vec<Found>,
}

/// Where a module was found: its file, or its name among the embedded ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Place {
    File(PathBuf),
    Embedded(String),
}

/// Modules, compiled once for any number of runbooks.
pub struct Library {
    options: Options,
    engine: Engine,
    /// for what the other refuses
    lenient: OnceLock<Engine>,
    scope: Scope<'static>,
    modules: HashMap<Place, Compiled>,
    /// where each module name was found for the runbooks of a folder; an error is told by each runbook
    places: HashMap<(Option<PathBuf>, String), Option<Place>>,
    lines: usize,
    bytes: usize,
    /// modules that go well with what they import, by the addresses of both
    fit: Mutex<HashSet<Vec<usize>>>,
}

/// A file's text, before it is compiled.
struct Text {
    name: String,
    path: Option<PathBuf>,
    kind: Kind,
    module: Option<String>,
    bom: bool,
    text: Arc<str>,
    line_starts: Arc<[usize]>,
    first_line: usize,
    base: usize,
}

impl Text {
    /// That of a runbook, first in the space of bytes.
    fn new(name: String, path: Option<PathBuf>, text: &str) -> Self {
        let bare = text.trim_start_matches('\u{feff}');
        let line_starts = span::line_starts(bare).into();
        Self {
            name,
            path,
            kind: Kind::Runbook,
            module: None,
            bom: bare.len() < text.len(),
            text: bare.into(),
            line_starts,
            first_line: 0,
            base: 0,
        }
    }
}

impl Script {
    /// Reads, compiles and checks one runbook with everything it imports.
    ///
    /// # Errors
    /// Everything found, over all files.
    pub fn load(source: Source<'_>, options: &Options) -> Result<Script, ScriptErrors> {
        let Loaded { script, errors } = Library::new(options.clone()).load_first(source)?;
        if errors.is_empty() { Ok(script) } else { Err(ScriptErrors(errors)) }
    }
}

fn utf8(bytes: Vec<u8>) -> std::io::Result<String> {
    String::from_utf8(bytes).map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e.utf8_error()))
}

fn read(source: Source<'_>) -> Result<Text, ScriptErrors> {
    match source {
        Source::Path(path) => match std::fs::read(path).and_then(utf8) {
            Ok(text) => Ok(Text::new(path.display().to_string(), Some(path.to_owned()), &text)),
            Err(error) => {
                let problem = Box::new(Problem::Unreadable { path: path.to_owned(), source: Arc::new(error) });
                Err(ScriptErrors(vec![ScriptError { problem, file: None, span: 0..0, source: None }]))
            }
        },
        Source::Instead { path, text } => Ok(Text::new(path.display().to_string(), Some(path.to_owned()), text)),
        Source::Text { name, text } => Ok(Text::new(name.to_owned(), None, text)),
    }
}

fn folder_of(path: Option<&Path>) -> Option<PathBuf> {
    path.map(|p| p.parent().unwrap_or(Path::new("")).to_owned())
}

/// What stands after `import` in a text, comments and texts among it: too many rather than too few.
fn mentioned(text: &str) -> impl Iterator<Item = &str> {
    memmem::find_iter(text.as_bytes(), "import").filter_map(|at| {
        let rest = text[at + "import".len()..].trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '`'))?;
        rest[1..].split(quote).next()
    })
}

impl Library {
    pub fn new(options: Options) -> Self {
        Self {
            options,
            engine: engine::parser(),
            lenient: OnceLock::new(),
            scope: engine::scope(),
            modules: HashMap::new(),
            places: HashMap::new(),
            lines: 0,
            bytes: MODULES,
            fit: Mutex::default(),
        }
    }

    /// True if a module was found in that file.
    pub fn has(&self, path: &Path) -> bool {
        self.modules.contains_key(&Place::File(path.to_owned()))
    }

    /// Compiles every module that the runbooks of these folders import, and what those import. What cannot be read is told by
    /// [`Library::load`].
    pub fn take_in(&mut self, runbooks: &[(Option<PathBuf>, &str)]) {
        let found = self.find_modules(runbooks);
        let compiled = parallel::map(&found, |(_, module), (): &mut ()| self.compile(module));
        self.modules.extend(found.into_iter().map(|(place, _)| place).zip(compiled));
    }

    /// Compiles and checks one runbook, and every module that it imports.
    ///
    /// # Errors
    /// The runbook cannot be read.
    pub fn load_first(&mut self, source: Source<'_>) -> Result<Loaded, ScriptErrors> {
        // read once, so that the modules are those of the text that is compiled
        let text = read(source)?;
        let found = self.find_modules(&[(folder_of(text.path.as_deref()), &text.text)]);
        let text = Text { first_line: self.lines, ..text };
        // threads would cost as much as they save: a runbook and its modules are compiled in some milliseconds
        let runbook = self.compile(&text);
        let compiled: Vec<_> = found.into_iter().map(|(place, text)| (place, self.compile(&text))).collect();
        self.modules.extend(compiled);
        Ok(self.put_together(&runbook))
    }

    /// The modules of these runbooks that are new, each in its place.
    fn find_modules(&mut self, runbooks: &[(Option<PathBuf>, &str)]) -> Vec<(Place, Text)> {
        let mut found = Vec::new();
        for (folder, text) in runbooks {
            for name in mentioned(text) {
                self.find_module(folder.as_deref(), name, &mut found);
            }
        }
        found
    }

    /// Finds a module and what it imports; those that are new are put where they belong in the space of lines and bytes.
    fn find_module(&mut self, folder: Option<&Path>, name: &str, found: &mut Vec<(Place, Text)>) {
        let key = (folder.map(Path::to_owned), name.to_owned());
        if self.places.contains_key(&key) {
            return;
        }
        let Ok((place, shown, text)) = self.find(folder, name) else {
            self.places.insert(key, None);
            return;
        };
        self.places.insert(key, Some(place.clone()));
        let inner: Vec<String> = mentioned(&text).map(str::to_owned).collect();
        if !self.modules.contains_key(&place) && found.iter().all(|(own, _)| *own != place) {
            let kind = match (&place, folder) {
                (Place::Embedded(_), _) => Kind::Embedded,
                (Place::File(path), Some(folder)) if path.starts_with(folder) => Kind::Beside,
                (Place::File(_), _) => Kind::Site,
            };
            let path = match &place {
                Place::File(path) => Some(path.clone()),
                Place::Embedded(_) => None,
            };
            let module = Some(name.to_owned());
            let text = Text { kind, module, first_line: self.lines, base: self.bytes, ..Text::new(shown, path, &text) };
            self.lines += text.line_starts.len();
            // one byte between files, so that no position belongs to two
            self.bytes += text.text.len() + 1;
            found.push((place, text));
        }
        for name in inner {
            self.find_module(folder, &name, found);
        }
    }

    /// Compiles and checks a runbook whose modules were taken in.
    ///
    /// # Errors
    /// The runbook cannot be read.
    pub fn load(&self, source: Source<'_>) -> Result<Loaded, ScriptErrors> {
        let text = read(source)?;
        Ok(self.put_together(&self.compile(&Text { first_line: self.lines, ..text })))
    }

    /// A runbook with its modules.
    fn put_together(&self, runbook: &Compiled) -> Loaded {
        let folder = folder_of(runbook.file.path.as_deref());
        let mut loading = Loading { library: self, folder, files: Vec::new(), imports: Vec::new(), errors: Vec::new() };
        loading.add(runbook, &mut Vec::new());
        let Loading { files, imports, mut errors, .. } = loading;
        let mut astray = HashMap::new();
        checks::names(&files, &self.options.names, &mut errors);
        for (index, own) in imports.iter().enumerate() {
            self.fits(&files, index, own, &mut errors, &mut astray);
        }
        // the runbook first
        let order = |e: &ScriptError| files.iter().position(|f| e.file.as_ref().is_some_and(|own| Arc::ptr_eq(own, f)));
        errors.sort_by_key(|e| (order(e), e.span.start));
        let mut closures = HashMap::new();
        let mut defined = BTreeSet::new();
        for (index, file) in files.iter().enumerate() {
            for (at, function) in file.functions.iter().enumerate() {
                if function.is_closure() {
                    closures.insert(function.name.clone(), (index, at));
                } else {
                    defined.insert(function.name.clone());
                }
            }
        }
        let script = Script { files, imports, names: self.options.names.clone(), closures, functions: defined, astray };
        Loaded { script, errors }
    }

    /// Checks a file against what it imports; a module once for many runbooks.
    fn fits(
        &self,
        files: &[Arc<SourceFile>],
        index: usize,
        imports: &[Import],
        errors: &mut Vec<ScriptError>,
        astray: &mut checks::Astray,
    ) {
        // the program's own modules go well with each other, which the tests see
        let embedded = |file: usize| files[file].kind == Kind::Embedded;
        if embedded(index) && imports.iter().all(|import| embedded(import.file)) {
            return;
        }
        let key: Vec<_> =
            std::iter::once(index).chain(imports.iter().map(|import| import.file)).map(|f| Arc::as_ptr(&files[f]).addr()).collect();
        if index > 0 && self.fit.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
            return;
        }
        let before = errors.len();
        checks::between(files, index, imports, &self.options.names, errors, astray);
        if index > 0 && errors.len() == before {
            self.fit.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        }
    }

    fn compile(&self, text: &Text) -> Compiled {
        let mut file = SourceFile {
            name: text.name.clone(),
            path: text.path.clone(),
            kind: text.kind,
            module: text.module.clone(),
            bom: text.bom,
            first_line: text.first_line,
            ast: rhai::AST::empty(),
            functions: Vec::new(),
            calls: Calls::default(),
            whole: true,
            base: text.base,
            line_starts: text.line_starts.clone(),
            lexed: OnceLock::new(),
            text: text.text.clone(),
        };
        let mut problems = Vec::new();
        match self.parse(&self.engine, &file, &file.text) {
            Ok(ast) => {
                file.functions = walk::functions(&ast);
                file.ast = ast;
                file.calls = checks::file(&file, &self.options.names, &mut problems);
            }
            Err(first) => problems = self.refused(&mut file, first),
        }
        Compiled { file: Arc::new(file), problems }
    }

    /// What is wrong with a file that was refused; what can be understood of it is kept.
    fn refused(&self, file: &mut SourceFile, first: Found) -> Vec<Found> {
        let lenient = self.lenient.get_or_init(engine::lenient);
        let syntax::Recovered { ast, mut problems, requoted, left_out } = syntax::recover(file, &|text| self.parse(lenient, file, text));
        file.whole = left_out.is_empty();
        if let Some(text) = requoted {
            file.lexed = OnceLock::from(span::lex(&text, &file.line_starts));
        }
        if let Some(ast) = ast {
            file.functions = walk::functions(&ast);
            file.ast = ast;
            let mentioned = |name: &str| left_out.iter().any(|range| file.text[range.clone()].contains(name));
            problems.extend(syntax::undeclared(file, &self.options.names, &mentioned));
            let calls = checks::file(file, &self.options.names, &mut problems);
            file.calls = calls;
        } else {
            file.whole = false;
        }
        if problems.is_empty() {
            problems.push(first);
        }
        problems.sort_by_key(|(_, span)| span.start);
        problems.dedup_by(|later, before| later.1 == before.1);
        problems
    }

    fn parse(&self, engine: &Engine, file: &SourceFile, text: &str) -> Result<rhai::AST, Found> {
        if file.first_line + file.line_starts.len() > limits::LINES {
            let limit = format!("{} lines in a runbook and its modules", limits::LINES);
            return Err((Problem::Limit { limit }, 0..0));
        }
        let ends = file.line_starts.iter().skip(1).map(|next| next - 1).chain([file.text.len()]);
        if let Some((start, _)) = file.line_starts.iter().copied().zip(ends).find(|(start, end)| end - start > limits::LINE) {
            return Err((Problem::Limit { limit: format!("{} bytes in a line", limits::LINE) }, start..start));
        }
        if file.text.contains("/*")
            && let Some(start) = file.lexed().unclosed_comment
        {
            return Err((Problem::UnclosedComment, start..start + 2));
        }
        let blank = "\n".repeat(file.first_line);
        engine
            .compile_scripts_with_scope(&self.scope, [blank.as_str(), text])
            .map_err(|error| syntax::problem(file, &error, &self.options.names))
    }

    /// Where a module is, its name for people, and its text: beside the runbook, in the site's `stdlib`, or embedded.
    fn find(&self, folder: Option<&Path>, module: &str) -> Result<(Place, String, String), Problem> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
        if module.is_empty() || module.starts_with('/') || !module.chars().all(plain) {
            let help = "write the module's name without `.rhai` and without `..`".to_owned();
            return Err(Problem::UnknownImport { name: module.to_owned(), help });
        }
        for folder in [folder, self.options.site_stdlib.as_deref()].into_iter().flatten() {
            let path = folder.join(format!("{module}.rhai"));
            match std::fs::read(&path).and_then(utf8) {
                Ok(text) => return Ok((Place::File(path.clone()), path.display().to_string(), text)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Problem::Unreadable { path, source: Arc::new(error) }),
            }
        }
        match stdlib::text(module) {
            Some(text) => Ok((Place::Embedded(module.to_owned()), format!("stdlib/{module}.rhai"), text.to_owned())),
            None => Err(Problem::UnknownImport { name: module.to_owned(), help: self.where_looked(folder, module) }),
        }
    }

    fn where_looked(&self, folder: Option<&Path>, module: &str) -> String {
        let mut looked = Vec::new();
        if folder.is_some() {
            looked.push("beside the runbook");
        }
        if self.options.site_stdlib.is_some() {
            looked.push("in the site's `stdlib`");
        }
        looked.push("in the program");
        let embedded = stdlib::names();
        match super::nearest(module, embedded.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`? Looked for `{module}.rhai` {}", looked.join(", ")),
            None => format!("put `{module}.rhai` beside the runbook; looked {}", looked.join(", ")),
        }
    }
}

/// One runbook with its modules, while their files are put together.
struct Loading<'a> {
    library: &'a Library,
    folder: Option<PathBuf>,
    files: Vec<Arc<SourceFile>>,
    imports: Vec<Vec<Import>>,
    errors: Vec<ScriptError>,
}

impl Loading<'_> {
    /// Adds a file and then what it imports; returns its index.
    fn add(&mut self, compiled: &Compiled, parents: &mut Vec<String>) -> usize {
        let index = self.files.len();
        self.files.push(compiled.file.clone());
        self.imports.push(Vec::new());
        for (problem, span) in &compiled.problems {
            self.errors.push(error(&compiled.file, span.clone(), problem.clone()));
        }
        self.imports(index, parents);
        index
    }

    /// Finds what a file imports at its top.
    fn imports(&mut self, index: usize, parents: &mut Vec<String>) {
        let file = self.files[index].clone();
        for stmt in file.ast.statements() {
            let Stmt::Import(parts, position) = stmt else { continue };
            // what is not a literal is refused by the checks
            let Expr::StringConstant(module, at) = &parts.0 else { continue };
            let alias = parts.1.name.to_string();
            if alias.is_empty() {
                let problem = Problem::Import {
                    message: "an import needs a name".to_owned(),
                    help: format!("write `import \"{module}\" as {};`", module.rsplit('/').next().unwrap_or("name")),
                };
                self.errors.push(error(&file, file.span_at(*position), problem));
                continue;
            }
            if parents.iter().any(|p| *p == module.as_str()) || parents.len() > NESTING {
                let message = format!("modules import each other in a circle: {} → {module}", parents.join(" → "));
                let problem = Problem::Import { message, help: "move what both need into a third module".to_owned() };
                self.errors.push(error(&file, file.span_at(*at), problem));
                continue;
            }
            match self.module(module, parents) {
                Ok(found) => self.imports[index].push(Import { alias, module: module.to_string(), file: found }),
                Err(problem) => self.errors.push(error(&file, file.span_at(*at), problem)),
            }
        }
    }

    /// The index of a module's file.
    fn module(&mut self, module: &str, parents: &mut Vec<String>) -> Result<usize, Problem> {
        if let Some(index) = self.files.iter().skip(1).position(|f| f.module.as_deref() == Some(module)) {
            return Ok(index + 1);
        }
        let library = self.library;
        let key = (self.folder.clone(), module.to_owned());
        let compiled = library.places.get(&key).and_then(Option::as_ref).and_then(|place| library.modules.get(place));
        let Some(compiled) = compiled else {
            // its reason is found by looking again
            return Err(match library.find(self.folder.as_deref(), module) {
                Err(problem) => problem,
                Ok(_) => Problem::UnknownImport { name: module.to_owned(), help: "write the import on one line".to_owned() },
            });
        };
        parents.push(module.to_owned());
        let index = self.add(compiled, parents);
        parents.pop();
        Ok(index)
    }
}

/// An error on a file's text.
pub(super) fn error(file: &Arc<SourceFile>, span: std::ops::Range<usize>, problem: Problem) -> ScriptError {
    ScriptError { problem: Box::new(problem), file: Some(file.clone()), span, source: Some(file.named()) }
}
