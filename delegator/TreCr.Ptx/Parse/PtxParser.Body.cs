using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Parse;

public sealed partial class PtxParser
{
    PtxFunction function = null!;
    /// <summary>names visible now: register number (as ~n) or variable's unique name; one dictionary per open brace</summary>
    readonly Stack<Dictionary<string, object>> scopes = new();
    /// <summary>%r&lt;N&gt; declarations: prefix to (first register, count)</summary>
    readonly Dictionary<string, (int First, int Count)> registerClasses = [];
    int uniqueNames;
    readonly List<(PtxOperand Operand, string Name, int Line)> labelUses = [];

    static readonly Dictionary<string, SpecialRegister> Specials = new()
    {
        ["%tid.x"] = SpecialRegister.TidX, ["%tid.y"] = SpecialRegister.TidY, ["%tid.z"] = SpecialRegister.TidZ,
        ["%ntid.x"] = SpecialRegister.NtidX, ["%ntid.y"] = SpecialRegister.NtidY, ["%ntid.z"] = SpecialRegister.NtidZ,
        ["%ctaid.x"] = SpecialRegister.CtaidX, ["%ctaid.y"] = SpecialRegister.CtaidY, ["%ctaid.z"] = SpecialRegister.CtaidZ,
        ["%nctaid.x"] = SpecialRegister.NctaidX, ["%nctaid.y"] = SpecialRegister.NctaidY, ["%nctaid.z"] = SpecialRegister.NctaidZ,
        ["%laneid"] = SpecialRegister.LaneId, ["%warpid"] = SpecialRegister.WarpId, ["%nwarpid"] = SpecialRegister.NWarpId,
        ["%smid"] = SpecialRegister.SmId, ["%nsmid"] = SpecialRegister.NSmId, ["%gridid"] = SpecialRegister.GridId,
        ["%lanemask_eq"] = SpecialRegister.LaneMaskEq, ["%lanemask_lt"] = SpecialRegister.LaneMaskLt, ["%lanemask_le"] = SpecialRegister.LaneMaskLe,
        ["%lanemask_gt"] = SpecialRegister.LaneMaskGt, ["%lanemask_ge"] = SpecialRegister.LaneMaskGe,
        ["%clock"] = SpecialRegister.Clock, ["%clock_hi"] = SpecialRegister.ClockHi, ["%clock64"] = SpecialRegister.Clock64,
        ["%globaltimer"] = SpecialRegister.GlobalTimer, ["%globaltimer_lo"] = SpecialRegister.GlobalTimerLo, ["%globaltimer_hi"] = SpecialRegister.GlobalTimerHi,
        ["%dynamic_smem_size"] = SpecialRegister.DynamicSharedSize, ["%total_smem_size"] = SpecialRegister.TotalSharedSize,
        ["WARP_SZ"] = SpecialRegister.WarpSize, ["%envreg0"] = SpecialRegister.Zero, ["%envreg1"] = SpecialRegister.GridWorkspaceHi, ["%envreg2"] = SpecialRegister.GridWorkspaceLo,
    };

    void Declare(PtxVariable v)
    {
        // Names may repeat in other scopes; instructions refer to the unique one.
        string unique = function.Locals.ContainsKey(v.Name) || module.VariablesByName.ContainsKey(v.Name) ? $"{v.Name}@{++uniqueNames}" : v.Name;
        scopes.Peek()[v.Name] = unique;
        if (unique != v.Name) v.Name = unique;
        function.Locals[unique] = v;
    }

    void Body()
    {
        labelUses.Clear();
        Want('{');
        int depth = 1;
        while (depth > 0)
        {
            if (Take(';')) continue;
            if (Take('{')) { scopes.Push([]); depth++; continue; }
            if (Take('}')) { scopes.Pop(); depth--; if (depth == 0) scopes.Push([]); continue; }
            if (At('@')) { Instruction(); continue; }
            if (lexer.Kind != TokenKind.Identifier) throw Bad($"an instruction expected, found {Found}");
            if (lexer.Text[0] == '.') BodyDirective();
            else Instruction();
        }
        foreach ((PtxOperand operand, string name, int line) in labelUses)
            if (!function.Labels.ContainsKey(name))
                throw new PtxException(PtxException.InvalidPtx, $"label {name} is not defined", line);
    }

    void BodyDirective()
    {
        linkExtern = linkVisible = linkWeak = false;
        switch (lexer.Text)
        {
            case ".reg": lexer.Next(); Registers(); break;
            case ".param":
                foreach (PtxVariable v in Variables()) Declare(v);
                Want(';');
                break;
            case ".shared" or ".local" or ".global" or ".const":
                foreach (PtxVariable v in Variables())
                {
                    if (v.Space is PtxSpace.Shared or PtxSpace.Local) { Declare(v); continue; }
                    string unique = $"{function.Name}@{v.Name}@{++uniqueNames}";
                    scopes.Peek()[v.Name] = unique;
                    v.Name = unique;
                    AddModuleVariable(v);
                }
                break;
            case ".loc" or ".file": lexer.SkipLine(); break;
            case ".pragma":
                while (!Take(';')) { if (lexer.Kind == TokenKind.End) throw Bad("';' expected"); lexer.Next(); }
                break;
            case ".maxnreg" or ".minnctapersm": lexer.Next(); Integer(); break;
            default: throw Bad($"unknown directive '{lexer.Text}'");
        }
    }

    void Registers()
    {
        PtxType type = PtxType.None;
        int vector = 1;
        while (lexer.Kind == TokenKind.Identifier && lexer.Text[0] == '.')
        {
            string word = Word();
            if (word is ".v2" or ".v4") vector = word[2] - '0';
            else if ((type = PtxTypes.Parse(word[1..])) == PtxType.None) throw Bad($"unknown register type {word}");
        }
        if (type == PtxType.None) throw Bad("a register type expected");
        if (vector != 1) { VectorRegisters(type, vector); return; }
        do
        {
            string name = Word();
            if (Take('<'))
            {
                long count = Integer();
                Want('>');
                if (count is < 0 or > 1 << 20) throw Bad($"{count} registers");
                int first = function.Registers.Count;
                for (int i = 0; i < count; i++) function.Registers.Add(new(name, type));
                registerClasses[name] = (first, (int)count);
                // a nested scope may declare the same prefix again: what it names is resolved through the scope
                Dictionary<string, object> scope = scopes.Peek();
                if (scopes.Count > 2) for (int i = 0; i < count; i++) scope[name + i] = first + i;
            }
            else
            {
                scopes.Peek()[name] = function.Registers.Count;
                function.Registers.Add(new(name, type));
            }
        } while (Take(','));
        Want(';');
    }

    /// <summary>Register number, or -1.</summary>
    int FindRegister(string name)
    {
        object? known = Find(name);
        if (known is int scoped) return scoped;
        if (known is null && name.Length > 2 && name[^2] == '.' && Find(name[..^2]) is VectorRegister vector && "xyzw".IndexOf(name[^1]) is >= 0 and int part && part < vector.Count) return vector.First + part;
        int digits = name.Length;
        while (digits > 0 && char.IsAsciiDigit(name[digits - 1])) digits--;
        if (digits == name.Length || digits == 0 || name.Length - digits > 7) return -1;
        int n = int.Parse(name.AsSpan(digits), System.Globalization.CultureInfo.InvariantCulture);
        // the prefix itself may end in digits: %rd2<5>
        for (int cut = digits; cut < name.Length; cut++)
        {
            if (registerClasses.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name.AsSpan(0, cut), out (int First, int Count) found))
            {
                n = int.Parse(name.AsSpan(cut), System.Globalization.CultureInfo.InvariantCulture);
                if (n < found.Count) return found.First + n;
            }
        }
        return -1;
    }

    object? Find(string name)
    {
        foreach (Dictionary<string, object> scope in scopes)
            if (scope.TryGetValue(name, out object? what)) return what;
        return null;
    }

    void Instruction()
    {
        int line = lexer.Line, guard = -1;
        bool negated = false;
        if (Take('@'))
        {
            negated = Take('!');
            string p = Word();
            guard = FindRegister(p);
            if (guard < 0 || function.Registers[guard].Type != PtxType.Pred) throw Bad($"{p} is no predicate register");
        }
        string word = Word();
        if (guard < 0 && Take(':'))
        {
            if (At(".branchtargets") || At(".calltargets"))
            {
                lexer.Next();
                List<string> targets = [];
                do targets.Add(Word()); while (Take(','));
                Want(';');
                function.BranchTargets[word] = [.. targets];
            }
            else if (Take(".callprototype"))
            {
                PtxSignature signature = new();
                if (At('(')) signature.Returns = ParameterList();
                Word(); // always "_"
                if (At('(')) signature.Parameters = ParameterList();
                while (!Take(';')) { if (lexer.Kind == TokenKind.End) throw Bad("';' expected"); lexer.Next(); }
                Layout(signature.Returns);
                Layout(signature.Parameters);
                function.Prototypes[word] = signature;
            }
            else if (!function.Labels.TryAdd(word, function.Body.Count)) throw Bad($"label {word} is defined twice");
            return;
        }
        PtxOpcode opcode = Opcode(word);
        List<PtxOperand> operands = [];
        while (!Take(';'))
        {
            operands.Add(Operand(opcode.Name is "bra" or "brx" && (opcode.Name == "bra" || operands.Count == 1)));
            if (!Take(',') && !At(';')) throw Bad($"';' expected after {word}, found {Found}");
        }
        if (opcode.Name == "mov" && opcode.Vector > 1) MoveParts(opcode, operands, guard, negated, line);
        else function.Body.Add(new() { Opcode = opcode, Operands = [.. operands], Guard = guard, GuardNegated = negated, Line = line });
    }

    PtxOperand Operand(bool label)
    {
        if (Take('{')) return Elements(OperandKind.Vector, '}');
        if (Take('(')) return Elements(OperandKind.List, ')');
        if (Take('[')) return Memory();
        if (Take('!'))
        {
            PtxOperand inner = Operand(false);
            inner.Negated = true;
            return inner;
        }
        bool negative = Take('-');
        if (!negative) Take('+');
        switch (lexer.Kind)
        {
            case TokenKind.Integer:
            {
                long v = lexer.Value;
                lexer.Next();
                return new() { Kind = OperandKind.Integer, Value = negative ? -v : v };
            }
            case TokenKind.Float32:
            {
                long v = lexer.Value;
                lexer.Next();
                return new() { Kind = OperandKind.Float32, Value = negative ? v ^ 0x80000000 : v };
            }
            case TokenKind.Float64:
            {
                long v = lexer.Value;
                lexer.Next();
                return new() { Kind = OperandKind.Float64, Value = negative ? v ^ long.MinValue : v };
            }
            case TokenKind.Identifier:
            {
                int line = lexer.Line;
                string word = Word();
                if (label)
                {
                    PtxOperand target = new() { Kind = OperandKind.Label, Name = word };
                    if (!function.BranchTargets.ContainsKey(word)) labelUses.Add((target, word, line));
                    return target;
                }
                PtxOperand operand = Name(word);
                if (Take('|'))
                {
                    if (At("_")) lexer.Next();
                    else if ((operand.Register2 = FindRegister(Word())) < 0) throw Bad("a register expected after '|'");
                }
                else if (operand.Kind == OperandKind.Symbol && (At('+') || At('-')))
                {
                    if (Take('+')) operand.Value += Integer();
                    else operand.Value += Integer();
                }
                return operand;
            }
            default: throw Bad($"an operand expected, found {Found}");
        }
    }

    PtxOperand Elements(OperandKind kind, char end)
    {
        List<PtxOperand> elements = [];
        while (!Take(end))
        {
            elements.Add(Operand(false));
            if (!Take(',') && !At(end)) throw Bad($"'{end}' expected, found {Found}");
        }
        return new() { Kind = kind, Elements = [.. elements] };
    }

    static readonly string[] Parts = ["", "b0", "b1", "b2", "b3", "h0", "h1"];

    PtxOperand Name(string word)
    {
        if (word == "_") return new() { Kind = OperandKind.Sink };
        int register = FindRegister(word);
        if (register >= 0) return PtxOperand.Reg(register);
        if (Find(word) is VectorRegister vector) return vector.ToOperand();
        if (Specials.TryGetValue(word, out SpecialRegister special)) return new() { Kind = OperandKind.Special, Special = special, Name = word };
        if (word.LastIndexOf('.') is > 0 and int dot && word.Length - dot is >= 3 and <= 6 && word[dot + 1] is 'b' or 'h' && !word.AsSpan(dot + 2).ContainsAnyExceptInRange('0', '7') && FindRegister(word[..dot]) is >= 0 and int whole)
            return new() { Kind = OperandKind.Register, Register = whole, Part = Array.IndexOf(Parts, word[(dot + 1)..]) is > 0 and int part ? part : PtxOperand.ManyParts, Lanes = word[(dot + 1)..] };
        if (word[0] == '%' && Find(word) is null) throw Bad($"unknown register {word}");
        return new() { Kind = OperandKind.Symbol, Name = Find(word) as string ?? word };
    }

    PtxOperand Memory()
    {
        PtxOperand memory = new() { Kind = OperandKind.Memory };
        bool negative = Take('-');
        if (lexer.Kind == TokenKind.Integer)
        {
            memory.Value = negative ? -lexer.Value : lexer.Value;
            lexer.Next();
        }
        else
        {
            PtxOperand name = Name(Word());
            if (name.Kind == OperandKind.Register) memory.Register = name.Register;
            else if (name.Kind == OperandKind.Symbol) memory.Name = name.Name;
            else throw Bad($"{name} is no address");
            if (Take('[')) { memory.Value = Integer(); Want(']'); }
            while (At('+') || At('-'))
            {
                bool minus = At('-');
                lexer.Next();
                long n = Integer();
                memory.Value += minus ? -n : n;
            }
        }
        if (Take(','))
        {
            // Coordinates of textures and surfaces.
            List<PtxOperand> more = [];
            do
            {
                PtxOperand coordinates = Operand(false);
                if (coordinates.Kind == OperandKind.Vector) more.AddRange(coordinates.Elements); else more.Add(coordinates);
            } while (Take(','));
            memory.Elements = [.. more];
        }
        Want(']');
        return memory;
    }

    /// <summary>Symbols that no instruction may name are found when the module is loaded, not when it is launched; in bodies that are read later, then.</summary>
    void CheckLinks()
    {
        foreach (PtxFunction f in module.Functions)
            if (!f.IsPending) CheckLinks(f);
        foreach (PtxVariable v in module.Variables)
            foreach (AddressFixup fixup in v.Fixups)
                if (!module.VariablesByName.ContainsKey(fixup.Symbol) && !module.FunctionsByName.ContainsKey(fixup.Symbol))
                    throw new PtxException(PtxException.InvalidPtx, $"{v.Name} is initialised with unknown {fixup.Symbol}");
    }

    void CheckLinks(PtxFunction f)
    {
        foreach (PtxInstruction i in f.Body)
            foreach (PtxOperand o in i.Operands)
                CheckSymbol(f, i, o);
    }

    void CheckSymbol(PtxFunction f, PtxInstruction i, PtxOperand o)
    {
        foreach (PtxOperand e in o.Elements) CheckSymbol(f, i, e);
        if (o.Kind is not (OperandKind.Symbol or OperandKind.Memory) || o.Name is not { } name) return;
        if (f.Locals.ContainsKey(name) || module.VariablesByName.ContainsKey(name) || module.FunctionsByName.ContainsKey(name) || f.Prototypes.ContainsKey(name)
            || f.BranchTargets.ContainsKey(name) || f.Labels.ContainsKey(name)) return;
        throw new PtxException(PtxException.InvalidPtx, $"unknown symbol {name}", i.Line);
    }
}
