//! Checks files together: groups them by site, compiles their modules once, follows each runbook on its own thread, and puts
//! the findings in order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::order::{self, Memo};
use super::{CheckError, Checked, Edit, File, Finding, Input, Look, Options, RULES, Related, Run, STDIN, Set, suppress};
use crate::facts::differ_by_prefix;
use crate::script::{self, Kind, Library, Problem, Script, ScriptError, ScriptErrors, Source, SourceFile, limits, parallel};
use crate::site::Site;

/// Name of the site file that counts beside a runbook.
const SITE_FILE: &str = "site.toml";

/// A file, and how far it was judged.
struct LookedAt {
    file: Arc<SourceFile>,
    /// It compiled, and so did all that it imports.
    compiled: bool,
    /// All of it was followed along a runbook: rules about order were judged.
    followed: bool,
}

/// A runbook, as far as it was understood.
struct Loaded {
    /// nothing if all that there was to say of it has been said
    script: Option<Arc<Script>>,
    errors: Vec<ScriptError>,
    findings: Vec<Finding>,
    /// functions that it calls on some way, by the address of their file
    called: Vec<(usize, usize)>,
}

pub fn check(inputs: &[Input], options: &Options) -> Result<Checked, CheckError> {
    let texts = inputs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut sites: HashMap<PathBuf, Option<Arc<Site>>> = HashMap::new();
    let mut groups: BTreeMap<PathBuf, (Option<Arc<Site>>, Vec<usize>)> = BTreeMap::new();
    for (index, input) in inputs.iter().enumerate() {
        let (key, site) = match &options.site {
            Some(site) => (PathBuf::new(), Some(site.clone())),
            None => {
                let folder = input.path.parent().unwrap_or(Path::new("")).to_owned();
                let site = match sites.get(&folder) {
                    Some(site) => site.clone(),
                    None => {
                        let site = site_in(&folder, input)?;
                        sites.insert(folder.clone(), site.clone());
                        site
                    }
                };
                (site.as_ref().map_or_else(PathBuf::new, |_| folder), site)
            }
        };
        groups.entry(key).or_insert_with(|| (site, Vec::new())).1.push(index);
    }
    let (mut findings, mut clean) = (Vec::new(), 0);
    let mut files: Vec<LookedAt> = Vec::new();
    for (site, members) in groups.values() {
        let named: Vec<(&Path, &str)> = members.iter().map(|index| (inputs[*index].path.as_path(), texts[*index].as_str())).collect();
        // a stack that takes what a runbook may nest; a thread of its own would have its memory from the system page by page
        let (found, looked_at, without) = stacker::grow(limits::STACK, || group(&named, site.as_ref(), options));
        findings.extend(found);
        files.extend(looked_at);
        clean += without;
    }
    let order: HashMap<&Path, usize> = inputs.iter().enumerate().map(|(n, input)| (input.path.as_path(), n)).collect();
    let mut checked = in_order(findings, files, &order);
    checked.files += clean;
    Ok(checked)
}

fn read(input: &Input) -> Result<String, CheckError> {
    if let Some(text) = &input.text {
        return Ok(text.clone());
    }
    let unreadable = |source| CheckError::Unreadable { path: input.path.clone(), source };
    let bytes = std::fs::read(&input.path).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|e| unreadable(std::io::Error::new(std::io::ErrorKind::InvalidData, e.utf8_error())))
}

fn site_in(folder: &Path, input: &Input) -> Result<Option<Arc<Site>>, CheckError> {
    let file = folder.join(SITE_FILE);
    if !file.is_file() {
        return Ok(None);
    }
    let wrong = |source| CheckError::Site { path: input.path.clone(), source };
    Ok(Some(Arc::new(Site::read(file, &[]).map_err(wrong)?)))
}

/// Files of one site.
fn group(named: &[(&Path, &str)], site: Option<&Arc<Site>>, options: &Options) -> (Vec<Finding>, Vec<LookedAt>, usize) {
    let site = site.map(Arc::as_ref);
    let script_options = script::Options { site_stdlib: site.and_then(|s| s.stdlib.clone()), names: options.names.clone() };
    let mut library = Library::new(script_options);
    let sources: Vec<Source<'_>> = named
        .iter()
        .map(|(path, text)| match path.to_str() {
            Some(STDIN) => Source::Text { name: STDIN, text },
            _ => Source::Instead { path, text },
        })
        .collect();
    let loaded = match sources.as_slice() {
        [source] => {
            let loaded = library.load_first(*source);
            vec![follow(loaded, site, &mut Memos::default(), false)]
        }
        _ => {
            let texts: Vec<_> = sources.iter().zip(named).map(|(source, (_, text))| (source.folder(), *text)).collect();
            library.take_in(&texts);
            each(&sources, &library, site)
        }
    };
    let mut findings = Vec::new();
    let mut files: Vec<LookedAt> = Vec::new();
    let mut scripts: Vec<Arc<Script>> = Vec::new();
    let mut broken: BTreeSet<*const SourceFile> = BTreeSet::new();
    let mut called: HashMap<usize, BTreeSet<usize>> = HashMap::new();
    let mut clean = 0;
    for one in loaded {
        findings.extend(one.findings);
        for (file, function) in one.called {
            called.entry(file).or_default().insert(function);
        }
        clean += usize::from(one.script.is_none() && one.errors.is_empty());
        if let Some(script) = one.script.as_ref().filter(|_| !one.errors.is_empty()) {
            // what a module has to do with it is not known either
            broken.extend(script.files.iter().map(Arc::as_ptr));
        }
        scripts.extend(one.script);
        findings.extend(one.errors.iter().filter_map(of_error));
    }
    // modules once, by the first script that has them
    let mut seen: BTreeSet<*const SourceFile> = BTreeSet::new();
    for script in &scripts {
        for (index, file) in script.files.iter().enumerate() {
            if !seen.insert(Arc::as_ptr(file)) {
                continue;
            }
            // the program's own modules are checked where they are made
            if index > 0 && file.path.is_some() && file.whole {
                look_at_file(script, index, site, &mut findings);
            }
            let own = called.get(&address(file));
            let alone: Vec<(usize, usize)> = (0..file.functions.len())
                .filter(|f| !file.functions[*f].is_closure() && own.is_none_or(|own| !own.contains(f)))
                .map(|f| (index, f))
                .collect();
            let followed = alone.is_empty() && !script.does_nothing();
            files.push(LookedAt { file: file.clone(), compiled: !broken.contains(&Arc::as_ptr(file)), followed });
            if !alone.is_empty() && (index == 0 || file.path.is_some()) {
                let memo = Memo::default();
                let run = order::functions(script, &memo, site, &alone);
                rules(&run, &mut findings);
            }
        }
    }
    let set = Set { scripts: &scripts };
    for rule in RULES {
        if let Look::Set(look) = rule.look {
            look(&set, &mut findings);
        }
    }
    // a name that is wrong is the use of another
    let unused = |finding: &Finding| matches!(finding.rule, "unused-variable" | "unused-import" | "unused-function");
    findings.retain(|finding| !unused(finding) || !broken.contains(&Arc::as_ptr(&finding.file)));
    (findings, files, clean)
}

fn address(file: &Arc<SourceFile>) -> usize {
    Arc::as_ptr(file).addr()
}

/// Loads and follows each runbook, on as many threads as there are cores.
fn each(sources: &[Source<'_>], library: &Library, site: Option<&Site>) -> Vec<Loaded> {
    // what is imported by one of these runbooks is judged by all of them
    let with_modules = sources.iter().any(|source| matches!(source, Source::Instead { path, .. } if library.has(path)));
    parallel::map(sources, |source, memos: &mut Memos| follow(library.load(*source), site, memos, with_modules))
}

/// What was followed already, for scripts that have the same modules in the same order.
#[derive(Default)]
struct Memos(HashMap<Vec<usize>, Rc<Memo>>);

fn follow(loaded: Result<script::Loaded, ScriptErrors>, site: Option<&Site>, memos: &mut Memos, with_modules: bool) -> Loaded {
    let script::Loaded { script, errors } = match loaded {
        Ok(loaded) => loaded,
        Err(ScriptErrors(errors)) => return Loaded { script: None, errors, findings: Vec::new(), called: Vec::new() },
    };
    let script = Arc::new(script);
    let modules = script.files.iter().skip(1).map(address).collect();
    let first = !memos.0.contains_key(&modules);
    let memo = memos.0.entry(modules).or_default().clone();
    let mut findings = Vec::new();
    if script.runbook().whole {
        look_at_file(&script, 0, site, &mut findings);
    }
    let mut called = Vec::new();
    if !script.does_nothing() {
        let run = order::run(&script, &memo, site);
        rules(&run, &mut findings);
        called = run.called.iter().map(|(file, function)| (address(&script.files[*file]), *function)).collect();
    }
    // a runbook of which there is nothing more to say makes room for the next
    let runbook = script.runbook();
    let more = first
        || with_modules
        || !errors.is_empty()
        || !findings.is_empty()
        || script.does_nothing()
        || runbook.text.contains(suppress::MARK)
        || runbook.functions.iter().any(|function| !function.is_closure());
    Loaded { script: more.then_some(script), errors, findings, called }
}

fn rules(run: &Run<'_>, findings: &mut Vec<Finding>) {
    // what is known to be clean from another run is not judged again
    let fresh = run.with(run.events.iter().filter(|event| !event.call.is_clean()).cloned().collect());
    let before = findings.len();
    for rule in RULES {
        match rule.look {
            // what was left out may have been what is asked for
            Look::Run(look) if run.script.is_whole() => look(run, findings),
            Look::Calls(look) => look(&fresh, findings),
            _ => {}
        }
    }
    findings[before..].iter_mut().for_each(at_the_call);
    let calls = |finding: &Finding| super::find(finding.rule).is_some_and(|rule| matches!(rule.look, Look::Calls(_)));
    if !findings[before..].iter().any(calls) {
        fresh.calls().iter().for_each(|call| call.set_clean());
    }
}

/// What is found in one of the program's own modules is shown where the runbook calls it: there it can be mended, or allowed.
fn at_the_call(finding: &mut Finding) {
    if finding.file.kind != Kind::Embedded {
        return;
    }
    let Some(index) = finding.related.iter().position(|related| related.file.kind != Kind::Embedded) else { return };
    let call = finding.related.remove(index);
    let within = Related { file: finding.file.clone(), span: finding.span.clone(), label: finding.label.clone() };
    finding.related.insert(0, within);
    (finding.file, finding.span, finding.label) = (call.file, call.span, "by this call".to_owned());
    finding.fixes.clear();
}

fn look_at_file(script: &Script, index: usize, site: Option<&Site>, findings: &mut Vec<Finding>) {
    let file = File { script, index, file: &script.files[index], site };
    for rule in RULES {
        if let Look::File(look) = rule.look {
            look(&file, findings);
        }
    }
}

/// What `script` refused, under the rule it falls under.
fn of_error(error: &ScriptError) -> Option<Finding> {
    let slug = match &*error.problem {
        Problem::UnknownCall { arity: usize::MAX, .. } => "unknown-call",
        Problem::UnknownCall { .. } => "wrong-arguments",
        Problem::IndirectCall { .. } => "indirect-call",
        Problem::ForbiddenWord { word, .. } if matches!(word.as_str(), "eval" | "Fn" | "call" | "curry") => "indirect-call",
        Problem::UnknownVariable { .. } => "unknown-variable",
        Problem::ShadowedSite => "shadowed-site",
        Problem::UnknownImport { .. } => "unknown-import",
        _ => "syntax",
    };
    let rule = super::find(slug)?;
    let file = error.file.as_ref()?;
    let mut finding = rule.finding(file, error.span.clone(), error.to_string(), error.problem.label(), error.problem.advice());
    finding.fixes.extend(error.problem.near().map(|near| Edit { span: error.span.clone(), text: near.to_owned() }));
    Some(finding)
}

/// A fix that would make another word of a word stays a help.
fn only_sure(finding: &mut Finding) {
    let plain = |text: &str| text.trim_matches('"').to_owned();
    if let [Edit { span, text }] = finding.fixes.as_slice()
        && differ_by_prefix(&plain(&finding.file.text[span.clone()]), &plain(text))
    {
        finding.fixes.clear();
    }
}

/// One file object for each path, each finding once, sorted, with the suppressed ones left out.
fn in_order(mut findings: Vec<Finding>, files: Vec<LookedAt>, order: &HashMap<&Path, usize>) -> Checked {
    let mut known: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut all: Vec<LookedAt> = Vec::new();
    for one in files {
        // a module may be looked at by itself, and along a runbook
        let same = match &one.file.path {
            Some(path) => known.get(path).copied(),
            None => all.iter().position(|own| Arc::ptr_eq(&own.file, &one.file)),
        };
        match same {
            Some(index) => {
                all[index].followed |= one.followed;
                all[index].compiled &= one.compiled;
            }
            None => {
                if let Some(path) = &one.file.path {
                    known.insert(path.clone(), all.len());
                }
                all.push(one);
            }
        }
    }
    for finding in &mut findings {
        if let Some(index) = finding.file.path.as_ref().and_then(|path| known.get(path)) {
            finding.file = all[*index].file.clone();
        }
    }
    findings.iter_mut().for_each(only_sure);
    sort(&mut findings, order);
    let judged = |file: &SourceFile, slug: &str| {
        let Some(one) = all.iter().find(|one| std::ptr::eq(&*one.file, file)) else { return false };
        match super::find(slug).map(|rule| &rule.look) {
            Some(Look::File(_) | Look::Load | Look::Calls(_)) => one.compiled,
            Some(Look::Run(_)) => one.compiled && one.followed,
            _ => false,
        }
    };
    let own: Vec<Arc<SourceFile>> = all.iter().map(|one| one.file.clone()).collect();
    let mut findings = suppress::apply(&own, findings, &judged);
    sort(&mut findings, order);
    let files = all.iter().filter(|one| one.file.path.is_some() || one.file.name == STDIN).count();
    Checked { findings, files, read: own }
}

/// As the files were named, then what they import.
fn sort(findings: &mut Vec<Finding>, order: &HashMap<&Path, usize>) {
    let nth = |f: &Finding| f.file.path.as_ref().and_then(|path| order.get(path.as_path())).copied().unwrap_or(usize::MAX);
    let place = |f: &Finding| (nth(f), f.file.name.clone(), f.span.start, f.span.end, f.rule, f.message.clone());
    findings.sort_by_key(place);
    findings.dedup_by(|a, b| place(a) == place(b));
}
