using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>A method's IL as it was emitted, to be emitted once more into an assembly that can be kept (<see cref="Cache.ImageCompiler"/>). Members are names: the reader is another process of the same build.</summary>
sealed unsafe class IlRecording
{
    enum Operand : byte { None, Mark, Branch, Switch, Local, Int32, Int64, Float32, Float64, Method, Field }

    /// <summary>parameters of every method of a kernel</summary>
    public static readonly Type[] Parameters = [typeof(BlockContext*), typeof(int), typeof(int)];

    static readonly ConditionalWeakTable<Delegate, IlRecording> Recordings = [];
    static readonly Lazy<Dictionary<short, OpCode>> Codes = new(() => typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static).Select(f => (OpCode)f.GetValue(null)!).ToDictionary(c => c.Value));

    readonly MemoryStream steps = new();
    readonly BinaryWriter to;
    readonly List<int> locals = [];
    readonly Numbered<Type> types = new();
    readonly Numbered<MemberInfo> members = new();
    readonly Type result;

    /// <param name="result">what the method returns</param>
    public IlRecording(Type result)
    {
        this.result = result;
        to = new(steps);
    }

    /// <summary>Each item once, by number.</summary>
    sealed class Numbered<T> where T : notnull
    {
        readonly Dictionary<T, int> numbers = [];
        public List<T> Items { get; } = [];

        public int Of(T item)
        {
            if (numbers.TryGetValue(item, out int known)) return known;
            Items.Add(item);
            return numbers[item] = Items.Count - 1;
        }
    }

    /// <summary>Keeps what a method was made of, as long as the method itself or until it is taken.</summary>
    public static void Keep(Delegate method, IlRecording? recording)
    {
        if (recording is not null) Recordings.Add(method, recording);
    }

    /// <summary>What the methods were made of; null where that is not known of all. No longer kept here then.</summary>
    public static IlRecording[]? Take(IReadOnlyList<Delegate> methods)
    {
        IlRecording[] taken = new IlRecording[methods.Count];
        for (int n = 0; n < taken.Length; n++)
        {
            if (!Recordings.TryGetValue(methods[n], out IlRecording? r)) return null;
            taken[n] = r;
            Recordings.Remove(methods[n]);
        }
        return taken;
    }

    public void NewLocal(Type type) => locals.Add(types.Of(type));
    public void Mark(Label label) { to.Write(OpCodes.Nop.Value); to.Write((byte)Operand.Mark); to.Write(label.Id); }
    public void Step(OpCode code) => Begin(code, Operand.None);
    public void Step(OpCode code, Label label) { Begin(code, Operand.Branch); to.Write(label.Id); }
    public void Step(OpCode code, LocalBuilder local) { Begin(code, Operand.Local); to.Write(local.LocalIndex); }
    public void Step(OpCode code, int value) { Begin(code, Operand.Int32); to.Write(value); }
    public void Step(OpCode code, long value) { Begin(code, Operand.Int64); to.Write(value); }
    public void Step(OpCode code, float value) { Begin(code, Operand.Float32); to.Write(value); }
    public void Step(OpCode code, double value) { Begin(code, Operand.Float64); to.Write(value); }
    public void Step(OpCode code, MethodInfo method) { Begin(code, Operand.Method); to.Write(members.Of(method)); }
    public void Step(OpCode code, FieldInfo field) { Begin(code, Operand.Field); to.Write(members.Of(field)); }

    public void Step(OpCode code, Label[] labels)
    {
        Begin(code, Operand.Switch);
        to.Write(labels.Length);
        foreach (Label l in labels) to.Write(l.Id);
    }

    void Begin(OpCode code, Operand operand)
    {
        to.Write(code.Value);
        to.Write((byte)operand);
    }

    public void Save(BinaryWriter w)
    {
        w.Write(MemberNames.Of(result));
        w.Write(types.Items.Count);
        foreach (Type t in types.Items) w.Write(MemberNames.Of(t));
        w.Write(locals.Count);
        foreach (int t in locals) w.Write(t);
        w.Write(members.Items.Count);
        foreach (MemberInfo m in members.Items) w.Write(MemberNames.Of(m));
        w.Write((int)steps.Length);
        w.Write(steps.GetBuffer().AsSpan(0, (int)steps.Length));
    }

    /// <summary>Defines the next method that was saved as a static one of a type.</summary>
    /// <exception cref="InvalidDataException">A member that this build does not have.</exception>
    public static void Define(BinaryReader r, TypeBuilder type, string name)
    {
        MethodBuilder method = type.DefineMethod(name, MethodAttributes.Public | MethodAttributes.Static, MemberNames.FindType(r.ReadString()), Parameters);
        method.InitLocals = false;
        ILGenerator il = method.GetILGenerator();
        Type[] types = [.. Enumerable.Range(0, r.ReadInt32()).Select(_ => MemberNames.FindType(r.ReadString()))];
        LocalBuilder[] locals = [.. Enumerable.Range(0, r.ReadInt32()).Select(_ => il.DeclareLocal(types[r.ReadInt32()]))];
        MemberInfo[] members = [.. Enumerable.Range(0, r.ReadInt32()).Select(_ => MemberNames.Find(r.ReadString()))];
        Dictionary<int, Label> labels = [];
        Label Next()
        {
            int id = r.ReadInt32();
            return labels.TryGetValue(id, out Label known) ? known : labels[id] = il.DefineLabel();
        }
        long end = r.ReadInt32();
        for (end += r.BaseStream.Position; r.BaseStream.Position < end;)
        {
            OpCode code = Codes.Value[r.ReadInt16()];
            switch ((Operand)r.ReadByte())
            {
                case Operand.None: il.Emit(code); break;
                case Operand.Mark: il.MarkLabel(Next()); break;
                case Operand.Branch: il.Emit(code, Next()); break;
                case Operand.Switch: il.Emit(code, [.. Enumerable.Range(0, r.ReadInt32()).Select(_ => Next())]); break;
                case Operand.Local: il.Emit(code, locals[r.ReadInt32()]); break;
                case Operand.Int32: il.Emit(code, r.ReadInt32()); break;
                case Operand.Int64: il.Emit(code, r.ReadInt64()); break;
                case Operand.Float32: il.Emit(code, r.ReadSingle()); break;
                case Operand.Float64: il.Emit(code, r.ReadDouble()); break;
                case Operand.Method: il.Emit(code, (MethodInfo)members[r.ReadInt32()]); break;
                case Operand.Field: il.Emit(code, (FieldInfo)members[r.ReadInt32()]); break;
                default: throw new InvalidDataException("an operand of a kind that this build does not have");
            }
        }
    }
}
