using System.Buffers.Binary;
using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Parse;

public sealed partial class PtxParser
{
    bool linkExtern, linkVisible, linkWeak;

    void Declaration()
    {
        linkExtern = linkVisible = linkWeak = false;
        while (true)
        {
            string word = lexer.Kind == TokenKind.Identifier ? lexer.Text : throw Bad($"a declaration expected, found {Found}");
            switch (word)
            {
                case ".extern": linkExtern = true; break;
                case ".visible": linkVisible = true; break;
                case ".weak": linkWeak = true; break;
                case ".common": linkWeak = linkVisible = true; break;
                case ".entry": lexer.Next(); Function(true); return;
                case ".func": lexer.Next(); Function(false); return;
                case ".global" or ".const" or ".shared" or ".local" or ".tex":
                    foreach (PtxVariable v in Variables())
                        AddModuleVariable(v);
                    return;
                default: throw Bad($"unknown directive '{word}'");
            }
            lexer.Next();
        }
    }

    void AddModuleVariable(PtxVariable v)
    {
        if (module.VariablesByName.TryGetValue(v.Name, out PtxVariable? known))
        {
            if (!known.Extern && !v.Extern && !v.Weak) throw Bad($"{v.Name} is defined twice");
            if (v.Extern) return;
            module.Variables.Remove(known);
        }
        module.Variables.Add(v);
        module.VariablesByName[v.Name] = v;
    }

    /// <summary>".space [.attribute] [.align N] [.vN] .type name[dims] [= initialiser] {, name…};" — at the space.</summary>
    List<PtxVariable> Variables(bool single = false)
    {
        PtxReference reference = At(".tex") ? PtxReference.Texture : PtxReference.None; // ".tex .u32 name", the form before PTX 2.0
        PtxSpace space = Word() switch
        {
            ".tex" => PtxSpace.Global,
            ".global" => PtxSpace.Global, ".const" => PtxSpace.Const, ".shared" => PtxSpace.Shared, ".local" => PtxSpace.Local, ".param" => PtxSpace.Param,
            string other => throw Bad($"unknown state space {other}"),
        };
        List<PtxVariable> found = [];
        int align = 0, vector = 1;
        bool managed = false, pointer = false;
        PtxType type = PtxType.None;
        while (lexer.Kind == TokenKind.Identifier && lexer.Text[0] == '.')
        {
            string word = Word();
            if (word == ".align")
            {
                int n = CheckAlign(Integer());
                if (!pointer) align = n; // after .ptr it is the alignment of what is pointed to
            }
            else if (word == ".ptr") pointer = true;
            else if (word == ".attribute")
            {
                Want('(');
                while (!Take(')')) { managed |= At(".managed"); lexer.Next(); if (lexer.Kind == TokenKind.End) throw Bad("')' expected"); }
            }
            else if (word is ".v2" or ".v4" or ".v8") vector = word[2] - '0';
            else if (word is ".texref" or ".surfref" && space == PtxSpace.Global)
            {
                reference = word == ".texref" ? PtxReference.Texture : PtxReference.Surface;
                type = PtxType.B64;
            }
            else if (word is ".texref" or ".surfref" or ".samplerref") throw Bad($"{word} here is not supported");
            else if (word is ".global" or ".const" or ".shared" or ".local") { }
            else if ((type = PtxTypes.Parse(word[1..])) == PtxType.None) throw Bad($"unknown type {word}");
        }
        if (type == PtxType.None) throw Bad($"a type expected, found {Found}");
        if (reference != PtxReference.None) type = PtxType.B64;
        do
        {
            PtxVariable v = new() { Name = Word(), Space = space, Type = type, Extern = linkExtern, Visible = linkVisible, Weak = linkWeak, Managed = managed, Reference = reference };
            long count = vector;
            bool unsized = false;
            if (At('<'))
            {
                // .param .u64 %P<2>: parameterised names, each a variable
                lexer.Next();
                int n = (int)Integer();
                Want('>');
                if (n is < 0 or > 4096) throw Bad("too many parameterised names");
                for (int i = 0; i < n; i++) found.Add(new() { Name = v.Name + i, Space = space, Type = type, SizeBytes = type.Bytes() * (long)vector, AlignBytes = Math.Max(align, type.Bytes()) });
                continue;
            }
            while (Take('['))
            {
                if (Take(']')) { unsized = true; continue; }
                long n = Integer();
                if (n < 0 || n != 0 && count > (1L << 40) / n) throw Bad($"size of {v.Name} is out of range");
                count *= n;
                Want(']');
            }
            v.SizeBytes = unsized ? 0 : count * type.Bytes();
            v.AlignBytes = Math.Max(align, 1);
            if (align == 0) v.AlignBytes = Math.Max(1, type.Bytes() * vector);
            if (reference != PtxReference.None && (At('=') || unsized || count != 1)) throw Bad($"{v.Name}: arrays and initialisers of references are not supported");
            if (Take('='))
            {
                Initialiser(v);
                if (v.SizeBytes == 0) v.SizeBytes = v.Initial!.Length;
            }
            else if (unsized && !v.Extern && space != PtxSpace.Param) throw Bad($"{v.Name} has no size");
            found.Add(v);
        } while (!single && Take(','));
        if (space != PtxSpace.Param) Want(';');
        return found;
    }

    int CheckAlign(long n) => n is > 0 and <= 1 << 20 && (n & n - 1) == 0 ? (int)n : throw Bad($"alignment {n} is no power of two");

    void Initialiser(PtxVariable v)
    {
        List<byte> bytes = [];
        int size = v.Type.Bytes();
        Element();
        v.Initial = [.. bytes];
        if (v.SizeBytes != 0 && bytes.Count > v.SizeBytes) throw Bad($"initialiser of {v.Name} is too long");

        void Element()
        {
            if (Take('{'))
            {
                while (!Take('}'))
                {
                    Element();
                    if (!Take(',')) { Want('}'); break; }
                }
                return;
            }
            bool negative = Take('-');
            switch (lexer.Kind)
            {
                case TokenKind.Integer:
                    long n = negative ? -lexer.Value : lexer.Value;
                    lexer.Next();
                    if (v.Type == PtxType.F32) n = BitConverter.SingleToInt32Bits(n);
                    else if (v.Type == PtxType.F64) n = BitConverter.DoubleToInt64Bits(n);
                    else if (Take('(')) { Address(n); return; } // mask(symbol)
                    Put(n);
                    return;
                case TokenKind.Float32 or TokenKind.Float64:
                    long bits = lexer.Value;
                    if (lexer.Kind == TokenKind.Float64 && v.Type == PtxType.F32) bits = BitConverter.SingleToInt32Bits((float)BitConverter.Int64BitsToDouble(bits));
                    else if (lexer.Kind == TokenKind.Float32 && v.Type == PtxType.F64) bits = BitConverter.DoubleToInt64Bits(BitConverter.Int32BitsToSingle((int)bits));
                    if (negative) bits ^= v.Type == PtxType.F64 ? long.MinValue : 0x80000000;
                    lexer.Next();
                    Put(bits);
                    return;
                case TokenKind.Identifier:
                    Address(-1);
                    return;
                default: throw Bad($"a value expected, found {Found}");
            }
        }

        // symbol, symbol+n, generic(symbol)+n, or inside mask(…)
        void Address(long mask)
        {
            bool generic = Take("generic");
            if (generic) Want('(');
            string symbol = Word();
            long addend = 0;
            if (generic) { if (Take('+')) addend += Integer(); Want(')'); }
            if (Take('+')) addend += Integer();
            else if (Take('-')) addend -= Integer();
            if (mask != -1) Want(')');
            int shift = mask == -1 || mask == 0 ? 0 : System.Numerics.BitOperations.TrailingZeroCount(mask);
            v.Fixups.Add(new(bytes.Count, symbol, addend, size, shift, generic || v.Space == PtxSpace.Global));
            Put(0);
        }

        void Put(long value)
        {
            Span<byte> eight = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(eight, value);
            for (int i = 0; i < size; i++) bytes.Add(i < 8 ? eight[i] : (byte)0);
        }
    }

    void Function(bool entry)
    {
        PtxFunction f = new() { Name = "", Signature = new(), IsEntry = entry, IsExtern = linkExtern, Weak = linkWeak, Visible = linkVisible, Line = lexer.Line };
        function = f;
        scopes.Clear();
        scopes.Push([]);
        registerClasses.Clear();
        uniqueNames = 0;
        if (!entry && At('(')) f.Signature.Returns = ParameterList();
        f.Name = Word();
        if (At('(')) f.Signature.Parameters = ParameterList();
        Layout(f.Signature.Parameters);
        Layout(f.Signature.Returns);
        foreach (PtxVariable p in f.Signature.Parameters) Declare(p);
        foreach (PtxVariable p in f.Signature.Returns) Declare(p);
        while (!At('{') && !At(';'))
        {
            string word = Word();
            switch (word)
            {
                case ".maxntid" or ".reqntid":
                    f.RequiredThreads = word == ".reqntid";
                    f.MaxThreadsX = (int)Integer();
                    f.MaxThreadsY = Take(',') ? (int)Integer() : 1;
                    f.MaxThreadsZ = Take(',') ? (int)Integer() : 1;
                    break;
                case ".noreturn" or ".explicitcluster" or ".blocksareclusters" or ".unified": break;
                case ".pragma": lexer.Next(); Want(';'); break;
                case ".minnctapersm" or ".maxnctapersm" or ".maxnreg" or ".abi_preserve" or ".maxclusterrank":
                    Integer();
                    break;
                case ".reqnctapercluster":
                    Integer();
                    while (Take(',')) Integer();
                    break;
                case ".attribute":
                    while (!Take(')')) { if (lexer.Kind == TokenKind.End) throw Bad("')' expected"); lexer.Next(); }
                    break;
                default: throw Bad($"unknown function directive '{word}'");
            }
        }
        bool body = !Take(';');
        if (body) BodyNowOrLater(f);
        if (module.FunctionsByName.TryGetValue(f.Name, out PtxFunction? known))
        {
            bool isDefined = known.IsPending || known.Body.Count > 0;
            if (isDefined && body && !known.Weak && !f.Weak) throw Bad($"function {f.Name} is defined twice");
            if (!body || isDefined) return;
            module.Functions.Remove(known);
        }
        f.IsExtern = !body;
        module.Functions.Add(f);
        module.FunctionsByName[f.Name] = f;
    }

    /// <summary>A body that declares variables of the module cannot wait: they get their places when it is loaded.</summary>
    void BodyNowOrLater(PtxFunction f)
    {
        (int at, int line) = lexer.Position;
        if (!bodiesLater || !lexer.TrySkipBody()) { Body(); return; }
        Dictionary<string, object> parameters = scopes.Peek();
        int names = uniqueNames;
        f.ReadLater(this, () => Try(() =>
        {
            function = f;
            scopes.Clear();
            scopes.Push(parameters);
            registerClasses.Clear();
            uniqueNames = names;
            lexer.GoTo(at, line);
            Body();
            CheckLinks(f);
        }));
    }

    /// <summary>"( .param .type name, … )" or the register form "( .reg .type name )" of early PTX.</summary>
    List<PtxVariable> ParameterList()
    {
        List<PtxVariable> list = [];
        Want('(');
        while (!Take(')'))
        {
            if (At(".reg"))
                throw Bad("functions with register parameters are not supported");
            list.AddRange(Variables(single: true));
            if (!Take(',') && !At(')')) throw Bad($"')' expected, found {Found}");
        }
        return list;
    }

    /// <summary>Byte offsets by natural alignment, as the driver lays out a kernel's parameter block.</summary>
    static void Layout(List<PtxVariable> parameters)
    {
        long at = 0;
        foreach (PtxVariable p in parameters)
        {
            at = at + p.AlignBytes - 1 & -p.AlignBytes;
            p.Offset = at;
            at += p.SizeBytes;
        }
    }
}
