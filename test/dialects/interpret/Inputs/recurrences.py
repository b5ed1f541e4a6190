# What test/dialects/interpret/scan.mlir expects: each recurrence in float64, token by token, for one sequence and for two that alternate.
import numpy as np
emb=np.array([[(r+1)*(c-1)/8 for c in range(4)] for r in range(6)])
toks=[1,5,0,2]; X=emb[toks]
softplus=lambda x: np.log1p(np.exp(x)); sig=lambda x:1/(1+np.exp(-x))
def fmt(rows): 
    return ["["+", ".join("%.4g"%(v+0.0) for v in r)+"]" for r in rows]
def out(name, rows): print(name); print("\n".join(fmt(rows)))
def slots(fn, s):
    st={}; ys=[]
    for t,sl in enumerate(s):
        y,st[sl]=fn(X[t],st.get(sl)); ys.append(y)
    return ys
def shift(x,s): return (np.zeros(4) if s is None else s), x
W=np.array([[1,2,-1],[0.5,0,1],[-1,1,0.25],[2,0.5,1]]); B=np.array([0.1,-0.2,0.3,0])
def conv(x,s):
    s=np.zeros((2,4)) if s is None else s
    r=np.vstack([s,x]); v=B+(W.T*r).sum(0); return v*sig(v), r[1:]
def diag(x,s):
    A=-np.exp(np.array([[0.1,0.2],[0.3,-0.4],[0.5,0],[-0.2,0.7]])); D=np.array([1,0.5,0,-1])
    h=np.zeros((4,2)) if s is None else s
    step=softplus(x); b=x[1:3]+1; c=x[2:4]
    h=np.exp(step[:,None]*A)*h+(step*x)[:,None]*b[None]
    return h@c+D*x, h
def scal(x,s):
    A=-np.exp(np.array([0.1,-0.5])); D=np.array([1,-1])
    h=np.zeros((2,2,2)) if s is None else s
    step=np.clip(softplus(x[:2]),0.5,0.75); b=(x+1).reshape(2,2); c=x.reshape(2,2); xx=x.reshape(2,2)
    h=np.exp(step*A)[:,None,None]*h+step[:,None,None]*xx[:,:,None]*b[:,None,:]
    return ((h*c[:,None,:]).sum(2)+D[:,None]*xx).ravel(), h
def delt(x,s):
    A=-np.exp(np.array([0.1,-0.5]))
    h=np.zeros((2,2,2)) if s is None else s
    step=softplus(x[:2]); k=x[1:3]; q=x[2:4]; beta=sig(x[2:4]); v=x.reshape(2,2)
    h=np.exp(step*A)[:,None,None]*h
    d=beta[:,None]*(v-(h*k[None,:,None]).sum(1))
    h=h+k[None,:,None]*d[:,None,:]
    return (h*q[None,:,None]).sum(1).ravel(), h
def gate(x,s):
    A=-8*softplus(np.array([-2,-3,-1,0.])); r=sig(x)
    if s is None: h=x
    else:
        e=np.exp(r*A); h=e*s+np.sqrt(1-e*e)*x
    return h,h
def wkv(x,s):
    w=-np.exp(np.array([0.1,-1,0.5,0])); u=np.array([0.3,-0.3,1,0]); k=x*2
    n,d,m=s if s is not None else (np.zeros(4),np.zeros(4),np.full(4,-1e38))
    now=k+u; b=np.maximum(m,now); p=np.exp(m-b); z=np.exp(now-b)
    y=(p*n+z*x)/(p*d+z)
    f=m+w; b=np.maximum(f,k); p=np.exp(f-b); z=np.exp(k-b)
    return y,(p*n+z*x,p*d+z,b)
for n,f in [("SHIFT",shift),("CONV",conv),("DIAGONAL",diag),("SCALAR",scal),("DELTA",delt),("GATED",gate),("WKV",wkv)]:
    out(n,slots(f,[0]*4)); out(n+"-SLOTS",slots(f,[0,1,0,1]))
