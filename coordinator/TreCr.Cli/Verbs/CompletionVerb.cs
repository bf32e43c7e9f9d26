namespace TreCr.Cli;

/// <summary><c>trecr completion SHELL</c>: verbs, options, job names and checkpoint ids, as the shell completes them.</summary>
internal static class CompletionVerb
{
    public static int Run(Arguments arguments)
    {
        string shell = arguments.Operands[0];
        if (shell is not ("bash" or "zsh")) throw arguments.Usage($"'{shell}': bash or zsh");
        // zsh runs bash's functions.
        if (shell == "zsh") Output.Line("autoload -U +X compinit && compinit; autoload -U +X bashcompinit && bashcompinit");
        Output.Line(Script());
        return 0;
    }

    private static string Script()
    {
        IEnumerable<Verb> shown = Verbs.All.Where(v => !v.Hidden);
        string cases = string.Join('\n', shown.Select(v => $"    {v.Name}) words='{Words(v)}' ;;"));
        return $$"""
            _trecr() {
                local word=${COMP_WORDS[COMP_CWORD]} words= i
                if [ "$COMP_CWORD" = 1 ]; then
                    COMPREPLY=($(compgen -W '{{string.Join(' ', shown.Select(v => v.Name))}} --help --version' -- "$word"))
                    return
                fi
                for ((i = 2; i < COMP_CWORD; i++)); do
                    if [ "${COMP_WORDS[i]}" = -- ]; then COMPREPLY=($(compgen -A command -A file -- "$word")); return; fi
                done
                case ${COMP_WORDS[1]} in
            {{cases}}
                esac
                COMPREPLY=($(compgen -W "$words" -- "$word"))
            }
            complete -o default -F _trecr trecr
            """;
    }

    private static string Words(Verb verb)
    {
        string options = string.Join(' ', verb.AllOptions.Select(o => o.Name));
        if (verb.TakesCommand) options += " --";
        string operands = verb.Operands.Split(' ')[0].Trim('[', ']');
        // The first column of a table, without its head.
        if (operands.StartsWith("ID", StringComparison.Ordinal)) return $"{options} '$(trecr list 2>/dev/null | awk 'NR > 1 {{ print $1 }}')'";
        return operands == "JOB" ? $"{options} '$(trecr status 2>/dev/null | awk 'NR > 1 {{ print $1 }}')'" : options;
    }
}
