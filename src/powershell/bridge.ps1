# bridge.ps1: lets a program call cmdlets of the management shell, one at a time, over standard input and output.
#
# Started as:  powershell.exe -NoLogo -NoProfile -NonInteractive -File bridge.ps1
# One JSON object a line in each direction, ASCII only (everything else as \uXXXX), because a console reads and writes
# in a code page. The messages are described in the program's src/wire/bridge.rs.
#
#   in   {"type":"hello","module":"Lync","cmdlets":["Get-CsPool"]}
#   out  {"type":"hello","ps_version":"5.1...","language_mode":"FullLanguage",...}   {"type":"done","id":0,"ok":true}
#   in   {"type":"invoke","id":1,"cmdlet":"Get-CsPool","parameters":{"Identity":"=fqdn"},"depth":4}
#   out  {"type":"output","value":{...}}   {"type":"done","id":1,"ok":true}
#   and between them, in the order they come: warning, verbose, error, output
#
# What it never does: run text as code, load assemblies, change $PSDefaultParameterValues or $ConfirmPreference, answer
# prompts. A cmdlet that asks gets the error of a shell that runs -NonInteractive, since standard input belongs to the
# bridge; a caller that wants no question passes Confirm = false itself.
#
# Written for Windows PowerShell 5.1 and PowerShell 7, and for ConstrainedLanguage as far as that goes: types are only
# tested, never created or called, except the ones every language mode allows (string, char, int, datetime, ...). Where
# that was not possible a comment says so. It has not been run on Windows yet.

$fullLanguage = "$($ExecutionContext.SessionState.LanguageMode)" -eq 'FullLanguage'
$ErrorActionPreference = 'Continue'
# Progress bars of a shell without a console end up on standard error.
$ProgressPreference = 'SilentlyContinue'

# Writes one message. Standard output carries nothing else.
function Send-Message {
    param($Message)
    # The values are plain by now and their depth is bounded, so this depth is only a ceiling.
    $json = ConvertTo-Json -InputObject $Message -Compress -Depth 90
    if ($json -match '[^\x00-\x7e]') {
        # Half a surrogate pair is not text to a strict reader.
        $json = $json -replace '[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]', '\ufffd'
        $seen = @{}
        foreach ($character in [char[]]$json) {
            $code = [int]$character
            if ($code -gt 126 -and -not $seen.ContainsKey($code)) {
                $seen[$code] = $true
                $json = $json.Replace("$character", ('\u{0:x4}' -f $code))
            }
        }
    }
    # ConstrainedLanguage forbids [Console]: there the line goes to the pipeline and the host writes it. Every caller
    # below leaves its output uncaught, so that it travels at once.
    if ($fullLanguage) { [Console]::Out.WriteLine($json) } else { $json }
}

# A parameter value as PowerShell wants it: texts lose their leading "=", JSON objects become hashtables (from which
# list modifiers and property bags bind), lists become arrays, true and false serve switches too. ConstrainedLanguage
# makes few types from a hashtable, so list modifiers may not bind there.
function ConvertFrom-Wire {
    param($Value)
    if ($null -eq $Value) { return $null }
    if ($Value -is [string]) { return $Value.Substring(1) }
    if ($Value -is [array]) {
        $list = @()
        foreach ($item in $Value) { $list += , (ConvertFrom-Wire $item) }
        return , $list
    }
    if ($Value -is [System.Management.Automation.PSCustomObject]) {
        $map = @{}
        foreach ($property in $Value.psobject.Properties) { $map[$property.Name] = ConvertFrom-Wire $property.Value }
        return $map
    }
    return $Value
}

# An output object as plain values: enumerations and anything that can write itself as text, dates as ISO 8601, lists
# as arrays, dictionaries and other objects as maps of their properties, no deeper than Depth.
function ConvertTo-Plain {
    param($Value, [int]$Depth, [bool]$Outermost)
    if ($null -eq $Value) { return $null }
    # Quotes make a new string: the old one may carry properties of its own, which ConvertTo-Json would write.
    if ($Value -is [string] -or $Value -is [char]) { return "$Value" }
    if ($Value -is [bool]) { return [bool]$Value }
    # A SwitchParameter that somebody put into an object.
    if ($Value -is [switch]) { return [bool]$Value }
    $types = @($Value.pstypenames)
    $type = "$($types[0])" -replace '^Deserialized\.', ''
    if ($types -contains 'System.Enum' -or $types -contains 'Deserialized.System.Enum') { return "$Value" }
    if ($Value -is [double] -or $Value -is [float]) {
        # JSON has no word for these.
        if ("$Value" -match '[^-+0-9.eE]') { return "$Value" }
        return $Value
    }
    if ($Value -is [byte] -or $Value -is [int16] -or $Value -is [int] -or $Value -is [long] -or
        $Value -is [uint16] -or $Value -is [uint32] -or $Value -is [uint64] -or $Value -is [System.SByte]) {
        return $Value
    }
    # As text: a reader of JSON would make a double of it.
    if ($Value -is [decimal]) { return "$Value" }
    if ($Value -is [datetime] -or $Value -is [System.DateTimeOffset]) { return ('{0:o}' -f $Value) }
    # XML writes itself as its type's name.
    if ($types -contains 'System.Xml.XmlNode') { return "$($Value.OuterXml)" }
    if ($Value -is [System.Collections.IDictionary]) {
        if ($Depth -le 0) { return "$Value" }
        $map = [ordered]@{}
        foreach ($key in @($Value.Keys)) { $map["$key"] = ConvertTo-Plain $Value[$key] ($Depth - 1) $false }
        return $map
    }
    if ($Value -is [System.Collections.IEnumerable]) {
        if ($Depth -le 0) { return "$Value" }
        $list = @()
        # Lists do not count as a level: a list of texts one level down is as readable as a text.
        foreach ($item in $Value) { $list += , (ConvertTo-Plain $item $Depth $false) }
        return , $list
    }
    # An object inside an object that knows how to write itself (an FQDN, an identity, a version, a time span) becomes
    # that text. One that does not writes the name of its type, a custom object writes @{...}.
    $text = "$Value"
    $speaks = $text -ne '' -and -not $text.StartsWith('@{') -and -not $type.StartsWith($text.Split('[')[0])
    if ($Depth -le 0 -or ($speaks -and -not $Outermost)) { return $text }
    $names = @($Value.psobject.Properties | ForEach-Object { $_.Name })
    # A version, an FQDN or a GUID put out by itself.
    if ($names.Count -eq 0 -or ($speaks -and $type -match '^System\.(Version|Guid|Uri|TimeSpan)$|\.Fqdn$')) { return $text }
    $map = [ordered]@{}
    foreach ($name in $names) {
        $inner = $null
        # A property is code of its object and may throw.
        try { $inner = $Value.$name } catch { $inner = $null }
        $map["$name"] = ConvertTo-Plain $inner ($Depth - 1) $false
    }
    return $map
}

# An error record as a message.
function Send-ErrorRecord {
    param($Record, [bool]$Terminating)
    $message = "$($Record.Exception.Message)"
    if ($null -ne $Record.ErrorDetails -and "$($Record.ErrorDetails.Message)" -ne '') {
        $message = "$($Record.ErrorDetails.Message)"
    }
    # The reason is often one exception further in.
    $inner = $Record.Exception.InnerException
    $left = 5
    while ($null -ne $inner -and $left -gt 0) {
        $more = "$($inner.Message)"
        if ($more -ne '' -and -not $message.Contains($more)) { $message = "$message $more" }
        $inner = $inner.InnerException
        $left = $left - 1
    }
    $target = ''
    if ($null -ne $Record.TargetObject) { $target = "$($Record.TargetObject)" }
    Send-Message ([ordered]@{
            type        = 'error'
            category    = "$($Record.CategoryInfo.Category)"
            error_id    = "$($Record.FullyQualifiedErrorId)"
            message     = $message
            target      = $target
            terminating = $Terminating
            exception   = "$(@($Record.Exception.pstypenames)[0])"
        })
}

# One record of any stream as a message. Inside the call all streams are merged, so that their order is kept.
function Send-Record {
    param($Record, [int]$Depth)
    if ($Record -is [System.Management.Automation.ErrorRecord]) { Send-ErrorRecord $Record $false }
    elseif ($Record -is [System.Management.Automation.WarningRecord]) {
        Send-Message ([ordered]@{ type = 'warning'; message = "$($Record.Message)" })
    }
    # By name: there are no information records before 5.0, and Lync 2013 lives on servers that still have 4.0.
    elseif ($Record -is [System.Management.Automation.VerboseRecord] -or
        $Record -is [System.Management.Automation.DebugRecord] -or
        @($Record.pstypenames) -contains 'System.Management.Automation.InformationRecord') {
        Send-Message ([ordered]@{ type = 'verbose'; message = "$Record" })
    }
    else {
        Send-Message ([ordered]@{ type = 'output'; value = (ConvertTo-Plain $Record $Depth $true) })
    }
}

# True, false, or null when it cannot be told. whoami and not WindowsPrincipal, which ConstrainedLanguage forbids;
# S-1-16-12288 is the label of an elevated process, S-1-16-16384 that of the system's own.
function Test-Elevated {
    try {
        $groups = "$(whoami.exe /groups 2>$null)"
        if ($groups -eq '') { return $null }
        return [bool]($groups -match 'S-1-16-(12288|16384)')
    }
    catch { return $null }
}

# Imports the module and tells what this shell is, and which of the cmdlets it does not know.
function Send-Hello {
    param([string]$Module, $Cmdlets)
    $ok = $true
    $version = ''
    if ($Module -ne '') {
        try {
            Import-Module -Name $Module -Global -ErrorAction Stop *>&1 | ForEach-Object { Send-Record $_ 1 }
            $version = "$(@(Get-Module -Name $Module)[0].Version)"
        }
        catch {
            $ok = $false
            Send-ErrorRecord $_ $true
        }
    }
    if ($ok) {
        $policies = @()
        try { $policies = @(Get-ExecutionPolicy -List | ForEach-Object { "$($_.Scope): $($_.ExecutionPolicy)" }) }
        catch { $policies = @() }
        $missing = @()
        foreach ($cmdlet in @($Cmdlets)) {
            if ("$cmdlet" -ne '' -and -not (Get-Command -Name "$cmdlet" -ErrorAction SilentlyContinue)) { $missing += "$cmdlet" }
        }
        Send-Message ([ordered]@{
                type               = 'hello'
                ps_version         = "$($PSVersionTable.PSVersion)"
                edition            = "$($PSVersionTable.PSEdition)"
                language_mode      = "$($ExecutionContext.SessionState.LanguageMode)"
                execution_policies = $policies
                module             = $Module
                module_version     = $version
                elevated           = (Test-Elevated)
                user               = "$env:USERDOMAIN\$env:USERNAME"
                host               = "$env:COMPUTERNAME"
                missing            = $missing
            })
    }
    Send-Message ([ordered]@{ type = 'done'; id = 0; ok = $ok })
}

# Calls one cmdlet with its parameters splatted: values are bound, never written into a command line.
function Send-Answer {
    param($Request)
    $ok = $true
    try {
        $cmdlet = "$($Request.cmdlet)"
        $depth = [int]$Request.depth
        $parameters = ConvertFrom-Wire $Request.parameters
        if ($null -eq $parameters) { $parameters = @{} }
        & $cmdlet @parameters *>&1 | ForEach-Object { Send-Record $_ $depth }
    }
    catch {
        $ok = $false
        Send-ErrorRecord $_ $true
    }
    Send-Message ([ordered]@{ type = 'done'; id = $Request.id; ok = $ok })
}

# $input is standard input line by line, as it comes: the host reads for a script that names it, in every language mode.
$input | ForEach-Object {
    $line = "$_"
    $request = $null
    if ($line.Trim() -ne '') {
        try { $request = ConvertFrom-Json -InputObject $line -ErrorAction Stop }
        catch { Send-Message ([ordered]@{ type = 'refused'; message = "not JSON: $($_.Exception.Message)" }) }
    }
    if ($null -ne $request) {
        # A name only: & would run a path as well.
        if ($request.type -eq 'invoke' -and "$($request.cmdlet)" -match '^[A-Za-z][A-Za-z0-9]*-[A-Za-z0-9]+$') {
            Send-Answer $request
        }
        elseif ($request.type -eq 'hello') { Send-Hello "$($request.module)" $request.cmdlets }
        else { Send-Message ([ordered]@{ type = 'refused'; message = "no such request, or not the name of a cmdlet" }) }
    }
}
